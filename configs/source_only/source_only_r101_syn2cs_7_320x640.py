# Licensed under the Apache License 2.0, see LICENSE.
# Trained on SYNTHIA alone: SYNTHIA to Cityscapes over 7 categories, at 640x320.
_base_ = [
    '../_base_/methods/source_only_r101_90k.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_7_320x640.py',
]
model = dict(decode_head=dict(num_classes=7))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(_delete_=True, **_base_.source_dataset),
)
