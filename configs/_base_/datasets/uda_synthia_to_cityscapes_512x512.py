# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes as CorDA's release trains: SYNTHIA at 1280x720, random crops of 512x512,
# rendered depth. Trained on 19 classes; results are read over 16 (mIoU_16) and 13 (mIoU_13).
_base_ = './target_cityscapes_512x512.py'

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
    type='SYNTHIADepthDataset',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS', depth_map_path='Depth'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
