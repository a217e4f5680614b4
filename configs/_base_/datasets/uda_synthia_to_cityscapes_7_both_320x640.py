# Licensed under the Apache License 2.0, see LICENSE.
# The same at 640x320; predictions are compared with labels at full size as ever.
_base_ = './uda_synthia_to_cityscapes_7_both_760x1280.py'

scale = (640, 320)
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='dada'),
    dict(
        type='ResizeWithDepth',
        scale=scale,
        interpolation='bicubic',
        depth_interpolation='nearest',
    ),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=scale, interpolation='bicubic'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, interpolation='bicubic'),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]
train_dataloader = dict(
    dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
