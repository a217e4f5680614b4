# Licensed under the Apache License 2.0, see LICENSE.
# The `real` training images of the street world, with stereo depth.
_base_ = ['../data_roots.py', './selection_loaders.py']

load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=(256, 128), depth_interpolation='bilinear'),
    dict(type='NormalizeDepth'),
]
train_pipeline = [*load, dict(type='RandomFlip', prob=0.5), dict(type='PackSegInputs')]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='CityscapesDepthDataset',
        data_root=_base_.street_world_root + '/cityscapes',
        split='train',
        depth='stereo',
        pipeline=train_pipeline,
    ),
)
