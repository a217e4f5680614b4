# Licensed under the Apache License 2.0, see LICENSE.
# The street world, sim (in GTA5's layout) -> real (in Cityscapes' layout), 512x256 files at half
# size, whole images, stereo depth on the target. Evaluated at that size, as the full protocol does.
_base_ = './street_world_source.py'

target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='ResizeWithDepth', scale=_base_.scale, depth_interpolation='nearest'),
    dict(type='LoadPseudoLabels'),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=_base_.scale),
    dict(type='MatchOriShapeToLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

target_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.street_world_root + '/cityscapes',
    split='train',
    depth='stereo',
    data_prefix=dict(seg_map_path=None),
    pipeline=target_pipeline,
)
train_dataloader = dict(dataset=dict(target=target_dataset))
val_dataloader = dict(
    dataset=dict(
        type='CityscapesDepthDataset',
        data_root=_base_.street_world_root + '/cityscapes',
        split='val',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(class_subsets=dict(mIoU_16='synthia16', mIoU_13='cityscapes13'))
test_evaluator = val_evaluator
