# Licensed under the Apache License 2.0, see LICENSE.
# Cityscapes' video (leftImg8bit_sequence, camera) at half size; evaluated on the official stereo
# disparity of its validation images.
_base_ = './sequence_cityscapes.py'

scale = (1024, 512)
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
    batch_size=2,
    dataset=dict(data_root=_base_.cityscapes_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    dataset=dict(data_root=_base_.cityscapes_root, depth='official', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
