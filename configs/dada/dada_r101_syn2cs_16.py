# Licensed under the Apache License 2.0, see LICENSE.
# DADA, SYNTHIA to Cityscapes over 16 classes ("S7" of the paper's Table 3).
_base_ = [
    '../_base_/methods/dada_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_760x1280.py',
]
model = dict(decode_head=dict(num_classes=16))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
