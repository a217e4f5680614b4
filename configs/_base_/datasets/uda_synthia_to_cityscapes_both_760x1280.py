# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes over 16 classes as depth distribution trains: Cityscapes is squeezed to the
# size of the source, so that both have one feature grid. Predictions are compared with labels at
# full size.
_base_ = './uda_synthia_to_cityscapes_760x1280.py'

scale = _base_.source_scale
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
    dataset=dict(
        source=dict(data_prefix=dict(depth_map_path='Depth')),
        target=dict(pipeline=target_pipeline),
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
