# Licensed under the Apache License 2.0, see LICENSE.
# Cityscapes as AdvEnt and DADA use it as a target: half size, whole images, one of each domain per
# iteration; predictions are compared with the labels at full size.
_base_ = './target_cityscapes.py'

target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(1024, 512), interpolation='bicubic'),
    dict(type='LoadPseudoLabels'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1024, 512), interpolation='bicubic'),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

target_dataset = dict(protocol='cityscapes19', pipeline=target_pipeline)
train_dataloader = dict(batch_size=1, dataset=dict(target=target_dataset))
val_dataloader = dict(dataset=dict(protocol='cityscapes19', pipeline=test_pipeline))
test_dataloader = val_dataloader
