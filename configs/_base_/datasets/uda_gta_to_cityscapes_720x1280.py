# Licensed under the Apache License 2.0, see LICENSE.
# GTA5 -> Cityscapes over 19 classes as AdvEnt trains: whole images, neither cropped nor flipped.
_base_ = './uda_synthia_to_cityscapes_760x1280.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    # A few images and labels of GTA5 differ in size.
    dict(type='LoadLabels', on_size_mismatch='skip'),
    dict(type='Resize', scale=(1280, 720), interpolation='bicubic'),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    _delete_=True,
    type='GTA5DepthDataset',
    data_root=_base_.gta_root,
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    pipeline=source_pipeline,
)
train_dataloader = dict(
    dataset=dict(source=source_dataset, target=dict(protocol='cityscapes19')),
)
val_dataloader = dict(dataset=dict(protocol='cityscapes19'))
test_dataloader = val_dataloader
