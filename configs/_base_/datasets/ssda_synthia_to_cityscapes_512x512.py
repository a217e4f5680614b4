# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA beside Cityscapes with some labels: semi-supervised domain adaptation of Hoyer et al.,
# IJCV 2023. The last 500 source images are held out, as released.
_base_ = './semi_cityscapes_512x512_true_labels.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(
        type='ResizeWithDepth',
        scale=(1024, 512),
        interpolation='lanczos',
        depth_interpolation='nearest',
    ),
    dict(type='NormalizeDepth'),
    dict(type='RandomCrop', crop_size=_base_.crop_size),
    _base_.flip,
    _base_.pack,
]
source_dataset = dict(
    type='SYNTHIADepthDataset',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS', depth_map_path=None),
    indices=8900,
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
with_depth = dict(
    source=dict(data_prefix=dict(depth_map_path='Depth')),
    target=dict(depth='mono'),
)
