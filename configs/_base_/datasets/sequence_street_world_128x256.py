# Licensed under the Apache License 2.0, see LICENSE.
# The street world's video, rendered with `--parts image depth right sequence camera`; evaluated on
# the exact depth of its validation images.
_base_ = './sequence_cityscapes.py'

scale = (256, 128)
train_pipeline = [
    dict(type='LoadSequence'),
    dict(type='ResizeSequence', scale=scale),
    dict(type='PackSequenceInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(data_root=_base_.street_world_root + '/cityscapes', pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(
        data_root=_base_.street_world_root + '/cityscapes', depth='stereo', pipeline=test_pipeline
    ),
)
test_dataloader = val_dataloader
