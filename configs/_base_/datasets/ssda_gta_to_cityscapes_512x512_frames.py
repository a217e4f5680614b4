# Licensed under the Apache License 2.0, see LICENSE.
# The same with the neighboring frames of the labeled target images.
_base_ = './ssda_gta_to_cityscapes_512x512.py'

labelled_dataset = dict(
    data_prefix=dict(
        sequence_path='leftImg8bit_sequence/train',
        camera_path='camera/train',
    ),
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadLabels'),
        dict(type='LoadNeighboringFrames'),
        dict(type='ResizeSequence', scale=(1024, 512)),
        dict(type='RandomCropSequence', crop_size=_base_.crop_size),
        dict(type='RandomFlipSequence', prob=0.5),
        dict(type='PackSegInputs'),
    ],
)
train_dataloader = dict(dataset=dict(labelled=labelled_dataset))
