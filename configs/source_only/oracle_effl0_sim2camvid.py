# Licensed under the Apache License 2.0, see LICENSE.
# What the pretrained network learns when it may see the labels of the CamVid training frames.
_base_ = './source_only_effl0_sim2camvid.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=_base_.target_scale),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CamVidDataset',
        data_root=_base_.camvid_root,
        split='train',
        pipeline=train_pipeline,
    ),
)
