# Licensed under the Apache License 2.0, see LICENSE.
# DADA from the street world to real CamVid frames.
_base_ = [
    '../_base_/methods/dada_r18.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid.py',
]
model = dict(decode_head=dict(num_classes=11))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
