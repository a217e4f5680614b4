# Licensed under the Apache License 2.0, see LICENSE.
# The street world's `sim` images in GTA5's layout as a source: 512x256 files at half size, whole
# images, with depth.
_base_ = ['../data_roots.py', './source_target_loaders.py']

scale = (256, 128)
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=scale, depth_interpolation='bilinear'),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    type='GTA5DepthDataset',
    data_root=_base_.street_world_root + '/gta',
    data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path='disparity'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
