# Licensed under the Apache License 2.0, see LICENSE.
# Your own video: numbered frames in images/, and their camera in intrinsics.json. There is no true
# depth to evaluate with; the test pipeline is for predicting depth.
_base_ = ['../data_roots.py', './sequence_loaders.py']

scale = (256, 128)
train_pipeline = [
    dict(type='LoadSequence'),
    dict(type='ResizeSequence', scale=scale),
    dict(type='PackSequenceInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=4,
    dataset=dict(
        type='FolderSequenceDataset',
        data_root=_base_.own_target_root,
        data_prefix=dict(img_path='images'),
        intrinsics='intrinsics.json',
        pipeline=train_pipeline,
    ),
)
