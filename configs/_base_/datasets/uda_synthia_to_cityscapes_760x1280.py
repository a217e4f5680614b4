# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes over 16 classes as AdvEnt and DADA train: whole images, neither cropped nor
# flipped, one of each domain per iteration. Cityscapes at half size; predictions are compared with
# its labels at full size. Depth is loaded where data_prefix.depth_map_path names it.
_base_ = ['../data_roots.py', './source_target_loaders.py']

source_scale, target_scale = (1280, 760), (1024, 512)
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='dada'),
    dict(
        type='ResizeWithDepth',
        scale=source_scale,
        interpolation='bicubic',
        depth_interpolation='nearest',
    ),
    dict(type='PackSegInputs'),
]
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=target_scale, interpolation='bicubic'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=target_scale, interpolation='bicubic'),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

source_dataset = dict(
    type='SYNTHIADepthDataset',
    protocol='synthia16',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS'),
    pipeline=source_pipeline,
)
target_dataset = dict(
    type='CityscapesDepthDataset',
    protocol='synthia16',
    data_root=_base_.cityscapes_root,
    split='train',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(
    batch_size=1,
    dataset=dict(source=source_dataset, target=target_dataset),
)
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDepthDataset',
        protocol='synthia16',
        data_root=_base_.cityscapes_root,
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(class_subsets=dict(mIoU_16='synthia16', mIoU_13='cityscapes13'))
test_evaluator = val_evaluator
