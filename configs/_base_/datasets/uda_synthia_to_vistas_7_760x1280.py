# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Mapillary Vistas over 7 categories. Images of Vistas keep their aspect ratio within
# 1024x512, the rest is padded. Predictions are cut out of the padding and compared with the labels
# at the size of the file.
_base_ = './uda_synthia_to_cityscapes_7_760x1280.py'

resize = dict(
    type='ResizeAndPad',
    scale=(1024, 512),
    interpolation='area',
    pad_val=(104, 117, 123),  # the mean that is subtracted
)
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    resize,
    dict(type='LoadPseudoLabels'),
    dict(type='PackSegInputs'),
]
# Without labels, as in inference, the padding is cut off the prediction.
pack_padding = dict(
    type='PackSegInputs',
    meta_keys=(
        'img_path',
        'seg_map_path',
        'ori_shape',
        'img_shape',
        'pad_shape',
        'img_padding_size',
    ),
)
test_pipeline = [
    dict(type='LoadImageFromFile'),
    resize,
    dict(type='LoadLabels'),
    pack_padding,
]
# Twelve views at the size of the file would need gigabytes: these are compared at 1024x512, padding
# ignored.
tta_pipeline = [*target_pipeline[:-2], *_base_.tta_steps]
target_dataset = dict(
    _delete_=True,
    type='MapillaryDepthDataset',
    protocol='categories7',
    data_root=_base_.mapillary_root,
    split='training',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(dataset=dict(target=target_dataset))
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
