# Licensed under the Apache License 2.0, see LICENSE.
# The street world's `real` images, of which some are labeled; stereo depth. `labelled` and `target`
# are the two streams of a batch: images with labels, and images to mix.
_base_ = './uda_street_world_128x256.py'

# How many of the 600 have labels, or a text file that lists them; and the seed that draws them.
labelled = '{{$LABELLED:30}}'
subset = dict(file=labelled)
if labelled.isdigit():
    subset = dict(size=int(labelled), seed=int('{{$SUBSET_SEED:7}}'))

flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackSegInputs')
target_pipeline = [
    *_base_.target_pipeline[:-1],
    dict(type='NormalizeDepth'),
    flip,
    pack,
]
labelled_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=_base_.scale),
    flip,
    pack,
]
labelled_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.street_world_root + '/cityscapes',
    split='train',
    subset=subset,
    pipeline=labelled_pipeline,
)
target_dataset = dict(
    _base_.target_dataset,
    depth=None,
    subset=dict(subset, rest=True),
    pipeline=target_pipeline,
)
with_depth = dict(target=dict(depth='stereo'))  # added by what compares depth
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DomainsSampler'),
    dataset=dict(
        _delete_=True,
        type='DomainsDataset',
        labelled=labelled_dataset,
        target=target_dataset,
    ),
)
