# Licensed under the Apache License 2.0, see LICENSE.
# The same, with all images in the stream that is mixed: those with labels keep them.
_base_ = './semi_cityscapes_512x512.py'

mixed_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.cityscapes_root,
    split='train',
    depth='stereo',
    pipeline=_base_.target_pipeline,
)
train_dataloader = dict(
    dataset=dict(
        target=dict(
            _delete_=True,
            type='ConcatDataset',
            datasets=[
                dict(mixed_dataset, subset=_base_.subset),
                dict(
                    mixed_dataset,
                    subset=dict(_base_.subset, rest=True),
                    data_prefix=dict(seg_map_path=None),
                ),
            ],
        ),
    ),
)
