# Licensed under the Apache License 2.0, see LICENSE.
# GTA5 -> Cityscapes over 19 classes as AdvEnt trains: whole images, neither cropped nor flipped.
_base_ = './target_cityscapes_512x1024.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    # A few images and labels of GTA5 differ in size.
    dict(type='LoadLabels', on_size_mismatch='skip'),
    dict(type='Resize', scale=(1280, 720), interpolation='bicubic'),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    type='GTA5DepthDataset',
    data_root=_base_.gta_root,
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
