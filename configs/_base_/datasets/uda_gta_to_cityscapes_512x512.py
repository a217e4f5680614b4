# Licensed under the Apache License 2.0, see LICENSE.
# GTA5 -> Cityscapes as CorDA's release trains: GTA5 at 1280x720, random crops of 512x512, monocular
# depth.
_base_ = './target_cityscapes_512x512.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    # A few images and labels of GTA5 differ in size.
    dict(type='LoadLabels', on_size_mismatch='skip'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(
        type='ResizeWithDepth',
        scale=(1280, 720),
        interpolation='bicubic',
        depth_interpolation='bilinear',
    ),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    type='GTA5DepthDataset',
    data_root=_base_.gta_root,
    data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path='disparity'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
