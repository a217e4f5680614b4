# Licensed under the Apache License 2.0, see LICENSE.
# GTA5 -> Cityscapes as CorDA's release trains and evaluates: GTA5 at 1280x720, Cityscapes at half
# size, random crops of 512x512, monocular depth on both sides, evaluation at 1024x512.
_base_ = ['../data_roots.py', './source_target_loaders.py']

crop_size = (512, 512)
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
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=(1024, 512), depth_interpolation='nearest'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
# Labels are resized too, and predictions are compared at that size.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1024, 512)),
    dict(type='MatchOriShapeToLabels'),
    dict(type='PackSegInputs'),
]

source_dataset = dict(
    type='GTA5DepthDataset',
    data_root=_base_.gta_root,
    data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path='disparity'),
    pipeline=source_pipeline,
)
target_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.cityscapes_root,
    split='train',
    depth='mono',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(
    dataset=dict(source=source_dataset, target=target_dataset),
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDepthDataset',
        data_root=_base_.cityscapes_root,
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
