# Licensed under the Apache License 2.0, see LICENSE.
# Cityscapes of which some images are labeled, as Hoyer et al. train: half size, random crops of
# 512x512, flips. `labelled` and `target` are the two streams of a batch: images with labels, and
# images to mix.
_base_ = './target_cityscapes_512x512.py'

# How many images have labels, or a text file that lists them; and the seed that draws them. The
# paper's 1/30, 1/8, 1/4 and all are 100, 372, 744 and 2975, with the seeds 7, 25 and 42.
labelled = '{{$LABELLED:100}}'
subset = dict(file=labelled)
if labelled.isdigit():
    subset = dict(size=int(labelled), seed=int('{{$SUBSET_SEED:7}}'))

flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackSegInputs')
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=(1024, 512), depth_interpolation='nearest'),
    dict(type='NormalizeDepth'),  # over the whole image
    dict(type='LoadPseudoLabels'),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    flip,
    pack,
]
labelled_pipeline = [s for s in target_pipeline if 'Depth' not in s['type']]
labelled_pipeline.insert(2, dict(type='Resize', scale=(1024, 512)))
labelled_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.cityscapes_root,
    split='train',
    subset=subset,
    pipeline=labelled_pipeline,
)
target_dataset = dict(
    depth=None,
    subset=dict(subset, rest=True),
    pipeline=target_pipeline,
)
# Added by what compares depth: the published depth was learned from video.
with_depth = dict(target=dict(depth='mono'))
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DomainsSampler'),
    dataset=dict(type='DomainsDataset', labelled=labelled_dataset, target=target_dataset),
)
