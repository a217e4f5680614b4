# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes over 16 classes as AdvEnt and DADA train: whole images, neither cropped nor
# flipped. Depth is loaded where data_prefix.depth_map_path names it.
_base_ = './target_cityscapes_512x1024.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='dada'),
    dict(
        type='ResizeWithDepth',
        scale=(1280, 760),
        interpolation='bicubic',
        depth_interpolation='nearest',
    ),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    type='SYNTHIADepthDataset',
    protocol='synthia16',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS'),
    pipeline=source_pipeline,
)
target_dataset = dict(protocol='synthia16')
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(dataset=dict(protocol='synthia16'))
test_dataloader = val_dataloader
