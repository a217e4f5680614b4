# Licensed under the Apache License 2.0, see LICENSE.
# For --strategy entropy: the student learns the labels of the steps before.
_base_ = './annotation_selection_r50_cs.py'

load = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1024, 512)),
]
test_pipeline = [*load, dict(type='PackSegInputs')]
train_pipeline = [
    *load,
    dict(type='RandomCrop', crop_size=(512, 512)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]
model = dict(
    type='UDASegmentor',
    decode_head=dict(
        type='UNetSegHead',
        num_classes=19,
        stage=1,
        norm_cfg=None,
        decoder_norm_cfg=dict(type='BN'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
train_dataloader = dict(
    dataset=dict(depth=None, data_prefix=dict(seg_map_path='gtFine/train'), pipeline=train_pipeline)
)
selection_network = None
