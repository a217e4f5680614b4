# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes as CorDA's release trains and evaluates: SYNTHIA at 1280x720 with its
# rendered depth, Cityscapes at half size with stereo depth. Trained on 19 classes; results are read
# over the 16 and 13 of `label_protocols.CITYSCAPES_16` and `CITYSCAPES_13`.
_base_ = ['./uda_gta_to_cityscapes_512x512.py']

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(
        type='ResizeWithDepth',
        scale=(1280, 720),
        interpolation='bicubic',
        depth_interpolation='nearest',
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    _delete_=True,
    type='SYNTHIADepthDataset',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS', depth_map_path='Depth'),
    pipeline=source_pipeline,
)
target_dataset = dict(depth='stereo')
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
