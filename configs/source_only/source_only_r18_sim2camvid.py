# Licensed under the Apache License 2.0, see LICENSE.
# What a network learns from labeled `sim` images alone, tested on real CamVid frames.
_base_ = [
    '../_base_/methods/source_only_r18.py',
    '../_base_/datasets/uda_street_world_to_camvid.py',
]
model = dict(decode_head=dict(num_classes=11))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=_base_.scale),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        _base_.source_dataset,
        _delete_=True,
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=train_pipeline,
    ),
)
