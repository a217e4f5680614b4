# Licensed under the Apache License 2.0, see LICENSE.
# The same, with all images in the stream that is mixed, and with the neighboring frames of every
# image. It needs `leftImg8bit_sequence` and `camera`, and no stored depth.
_base_ = './semi_cityscapes_512x512_true_labels.py'

frames = [
    dict(type='LoadNeighboringFrames'),
    dict(type='ResizeSequence', scale=(1024, 512)),
    dict(type='RandomCropSequence', crop_size=_base_.crop_size),
    dict(type='RandomFlipSequence', prob=0.5),
    dict(type='PackSegInputs'),
]
video = dict(sequence_path='leftImg8bit_sequence/train', camera_path='camera/train')
frames_dataset = dict(
    data_prefix=video,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadLabels'), *frames],
)
train_dataloader = dict(dataset=dict(labelled=frames_dataset, target=frames_dataset))
