# Licensed under the Apache License 2.0, see LICENSE.
# The same beside the labeled `sim` images: semi-supervised domain adaptation. All `real` images are
# in the stream that is mixed, and those with labels keep them.
_base_ = './semi_street_world_128x256.py'

mixed_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.street_world_root + '/cityscapes',
    split='train',
    depth='stereo',
    pipeline=_base_.target_pipeline,
)
source_pipeline = [
    *_base_.source_pipeline[:-1],
    dict(type='NormalizeDepth'),
    _base_.flip,
    _base_.pack,
]
train_dataloader = dict(
    dataset=dict(
        source=dict(_base_.source_dataset, pipeline=source_pipeline),
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
