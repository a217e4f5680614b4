# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Mapillary Vistas over 7 categories, both at 1280x760. Images of Vistas keep their
# aspect ratio, the rest is black. Predictions and labels are compared at that size; padding is
# ignored.
_base_ = './uda_synthia_to_cityscapes_7_both_760x1280.py'

resize = dict(type='ResizeAndPad', scale=_base_.scale, interpolation='bicubic', pad_val=(0, 0, 0))
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    resize,
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    resize,
    dict(type='MatchOriShapeToLabels'),
    # Without labels, as in inference, the padding is cut off the prediction.
    dict(
        type='PackSegInputs',
        meta_keys=(
            'img_path',
            'seg_map_path',
            'ori_shape',
            'img_shape',
            'pad_shape',
            'img_padding_size',
        ),
    ),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]
train_dataloader = dict(
    dataset=dict(
        target=dict(
            _delete_=True,
            type='MapillaryDepthDataset',
            protocol='categories7',
            data_root=_base_.mapillary_root,
            split='training',
            data_prefix=dict(seg_map_path=None),
            pipeline=target_pipeline,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='MapillaryDepthDataset',
        protocol='categories7',
        data_root=_base_.mapillary_root,
        split='validation',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
