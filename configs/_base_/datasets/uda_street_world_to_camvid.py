# Licensed under the Apache License 2.0, see LICENSE.
# Street world (sim, in GTA5's layout) -> real CamVid frames, over CamVid's 11 classes.
# Sizes are chosen so that a car at a given distance has about the same size in pixels in both
# domains: the focal lengths are 0.84 * 320 and about 1.05 * 256 pixels. Target depth is absent;
# uda_street_world_to_camvid_pseudo_depth.py adds it.
_base_ = './street_world_source.py'

crop_size = (160, 256)
scale = (320, 160)
target_scale = (256, 192)
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=scale, depth_interpolation='bilinear'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=target_scale, depth_interpolation='bilinear'),
    dict(type='LoadPseudoLabels'),
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

source_dataset = dict(protocol='camvid11', pipeline=source_pipeline)
target_dataset = dict(
    type='CamVidDataset',
    data_root=_base_.camvid_root,
    split='train',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(
    dataset=dict(
        type='CamVidDataset',
        data_root=_base_.camvid_root,
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
