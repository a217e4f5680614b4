# Licensed under the Apache License 2.0, see LICENSE.
# DACS, SYNTHIA to Cityscapes, in CorDA's setting: it trains on no depth.
_base_ = [
    '../_base_/methods/dacs_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_512x512.py',
]
train_dataloader = dict(
    dataset=dict(source=dict(data_prefix=dict(depth_map_path=None)), target=dict(depth=None)),
)
