# Licensed under the Apache License 2.0, see LICENSE.
# CamVid of which some images are labeled: 672x512 as in Hoyer et al., flips; the crops are those of
# Cityscapes. The paper's subsets are 50, 100 and all 367. Evaluated on the test images at their own
# size.
_base_ = ['../data_roots.py', './source_target_loaders.py']

labelled = '{{$LABELLED:50}}'
subset = dict(file=labelled)
if labelled.isdigit():
    subset = dict(size=int(labelled), seed=int('{{$SUBSET_SEED:7}}'))

crop_size = (512, 512)
scale = (672, 512)
flip = dict(type='RandomFlip', prob=0.5)
pack = dict(type='PackSegInputs')
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=scale, depth_interpolation='nearest'),
    dict(type='NormalizeDepth'),
    dict(type='LoadPseudoLabels'),
    dict(type='RandomCrop', crop_size=crop_size),
    flip,
    pack,
]
labelled_pipeline = [s for s in target_pipeline if 'Depth' not in s['type']]
labelled_pipeline.insert(2, dict(type='Resize', scale=scale))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

camvid = dict(type='CamVidDataset', data_root=_base_.camvid_root)
labelled_dataset = dict(camvid, split='train', subset=subset, pipeline=labelled_pipeline)
target_dataset = dict(
    type='CamVidDataset',
    data_root=None,  # pseudo depth has its own
    data_prefix=dict(img_path=_base_.camvid_root + '/train', seg_map_path=None),
    subset=dict(subset, rest=True),
    pipeline=target_pipeline,
)
with_depth = dict(
    target=dict(data_prefix=dict(depth_map_path=_base_.camvid_pseudo_depth_root + '/train')),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='DomainsSampler'),
    dataset=dict(
        _delete_=True,
        type='DomainsDataset',
        labelled=labelled_dataset,
        target=target_dataset,
    ),
)
val_dataloader = dict(dataset=dict(camvid, split='test', pipeline=test_pipeline))
test_dataloader = val_dataloader
