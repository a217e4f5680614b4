# Licensed under the Apache License 2.0, see LICENSE.
# What a pretrained network learns from labeled `sim` images alone, tested on `real` ones.
_base_ = [
    '../_base_/methods/source_only_effl0.py',
    '../_base_/datasets/uda_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=_base_.scale),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        _delete_=True,
        type='GTA5DepthDataset',
        data_root=_base_.street_world_root + '/gta',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=train_pipeline,
    ),
)
