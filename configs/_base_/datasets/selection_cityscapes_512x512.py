# Licensed under the Apache License 2.0, see LICENSE.
# Cityscapes' training images at half size, with the monocular depth of a network trained on video.
_base_ = ['../data_roots.py', './selection_loaders.py']

load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=(1024, 512), depth_interpolation='bilinear'),
    dict(type='NormalizeDepth'),
]
train_pipeline = [
    *load,
    dict(type='RandomCrop', crop_size=(512, 512)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_dataloader = dict(
    dataset=dict(
        type='CityscapesDepthDataset',
        data_root=_base_.cityscapes_root,
        split='train',
        depth='mono',
        pipeline=train_pipeline,
    ),
)
