# Licensed under the Apache License 2.0, see LICENSE.
# Trained on SYNTHIA alone: SYNTHIA to Mapillary Vistas over 7 categories, at 640x320.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_synthia_to_vistas_7_320x640.py',
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
