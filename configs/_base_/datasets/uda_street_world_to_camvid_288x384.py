# Licensed under the Apache License 2.0, see LICENSE.
# Street world (sim, in GTA5's layout) -> real CamVid frames, over CamVid's 11 classes.
# As uda_street_world_to_camvid.py, half as large again: a pretrained network has use for it. Focal
# lengths are 0.84 of 480 and about 1.05 of 384 pixels. Target depth is absent.
_base_ = ['../data_roots.py', './source_target_loaders.py']

crop_size = (240, 384)
source_scale = (480, 240)
target_scale = (384, 288)
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=source_scale, depth_interpolation='bilinear'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=target_scale, depth_interpolation='bilinear'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
# Labels are loaded after the resize: predictions are compared at the frames' own 480x360.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=target_scale),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

source_dataset = dict(
    type='GTA5DepthDataset',
    protocol='camvid11',
    data_root=_base_.street_world_root + '/gta',
    data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path='disparity'),
    pipeline=source_pipeline,
)
target_dataset = dict(
    type='CamVidDataset',
    data_root=_base_.camvid_root,
    split='train',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(
    dataset=dict(source=source_dataset, target=target_dataset),
)
val_dataloader = dict(
    dataset=dict(
        type='CamVidDataset',
        data_root=_base_.camvid_root,
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
