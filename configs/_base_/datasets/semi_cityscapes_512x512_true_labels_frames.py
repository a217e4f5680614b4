# Licensed under the Apache License 2.0, see LICENSE.
# The same with the neighboring frames of every image, and without stored depth; all images in the
# stream that is mixed, of which those with labels keep them.
_base_ = './semi_cityscapes_512x512.py'

pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadNeighboringFrames'),
    dict(type='ResizeSequence', scale=(1024, 512)),
    dict(type='RandomCropSequence', crop_size=_base_.crop_size),
    dict(type='RandomFlipSequence', prob=0.5),
    dict(type='PackSegInputs'),
]
video = dict(sequence_path='leftImg8bit_sequence/train', camera_path='camera/train')
images = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.cityscapes_root,
    split='train',
    pipeline=pipeline,
)
train_dataloader = dict(
    dataset=dict(
        labelled=dict(data_prefix=video, pipeline=pipeline),
        target=dict(
            _delete_=True,
            type='ConcatDataset',
            datasets=[
                dict(images, subset=_base_.subset, data_prefix=video),
                dict(
                    images,
                    subset=dict(_base_.subset, rest=True),
                    data_prefix=dict(video, seg_map_path=None),
                ),
            ],
        ),
    ),
)
