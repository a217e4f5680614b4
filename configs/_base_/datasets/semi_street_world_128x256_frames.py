# Licensed under the Apache License 2.0, see LICENSE.
# The same with the neighboring frames of every image, and without stored depth. The world needs the
# parts `sequence` and `camera`.
_base_ = './semi_street_world_128x256.py'

frames = [
    dict(type='LoadNeighboringFrames'),
    dict(type='ResizeSequence', scale=_base_.scale),
    dict(type='RandomFlipSequence', prob=0.5),
    dict(type='PackSegInputs'),
]
video = dict(sequence_path='leftImg8bit_sequence/train', camera_path='camera/train')
labelled_dataset = dict(
    data_prefix=video,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadLabels'), *frames],
)
target_dataset = dict(
    depth=None,
    data_prefix=video,
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadLabels'), *frames],
)
train_dataloader = dict(dataset=dict(labelled=labelled_dataset, target=target_dataset))
