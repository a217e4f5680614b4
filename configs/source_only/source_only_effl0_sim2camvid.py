# Licensed under the Apache License 2.0, see LICENSE.
# What a pretrained network learns from labeled `sim` images alone, tested on real CamVid frames.
_base_ = [
    '../_base_/methods/source_only_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
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
        _delete_=True,
        type='GTA5DepthDataset',
        protocol='camvid11',
        data_root=_base_.street_world_root + '/gta',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=train_pipeline,
    ),
)
