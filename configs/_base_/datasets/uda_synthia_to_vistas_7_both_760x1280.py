# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Mapillary Vistas over 7 categories, both at 1280x760. Images of Vistas keep their
# aspect ratio, the rest is black. Predictions and labels are compared at that size; padding is
# ignored.
_base_ = './uda_synthia_to_vistas_7_760x1280.py'

resize = dict(type='ResizeAndPad', scale=(1280, 760), interpolation='bicubic', pad_val=(0, 0, 0))
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    resize,
    dict(type='LoadPseudoLabels'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    *target_pipeline[:-2],  # without pseudo-labels
    dict(type='MatchOriShapeToLabels'),
    _base_.pack_padding,
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
