# Licensed under the Apache License 2.0, see LICENSE.
# Trained on SYNTHIA alone: SYNTHIA to Cityscapes over 7 categories, at full size.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_7_760x1280.py',
    '../_base_/schedules/deeplab_90k.py',
    '../_base_/snapshots_runtime.py',
]
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=_base_.imagenet_init)),
    decode_head=dict(num_summed=4, num_classes=7),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(_delete_=True, **_base_.source_dataset),
)
