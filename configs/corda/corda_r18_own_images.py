# Licensed under the Apache License 2.0, see LICENSE.
# CorDA between your own folders; copy it and edit what is marked. The source has images/ and
# labels/ of the same names (labels: PNG, 0..C-1, 255 to ignore) and perhaps depth/; the target is a
# folder of images without labels and without depth. It is validated on labeled target images in
# val/images and val/labels of the target; without any, set val_dataloader, val_evaluator, val_cfg
# and the same three of test_ to None.
_base_ = [
    '../_base_/models/corda_r18.py',
    '../_base_/data_roots.py',
    '../_base_/datasets/source_target_loaders.py',
    '../_base_/schedules/street_world.py',
    '../_base_/street_world_runtime.py',
]
classes = ['background', 'road']  # edit: yours, any number from 2
scale = (256, 128)  # edit: width and height that images are resized to; crops are 128x256
source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='corda'),  # does nothing without depth
    dict(type='ResizeWithDepth', scale=scale, depth_interpolation='nearest'),
    dict(type='RandomCrop', crop_size=(128, 256)),
    dict(type='PackSegInputs'),
]
target_pipeline = [step for step in source_pipeline if step['type'] != 'LoadLabels']
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]
train_dataloader = dict(
    dataset=dict(
        source=dict(
            type='FolderDepthDataset',
            metainfo=dict(classes=classes),
            data_root=_base_.own_source_root,
            # edit: with depth, add depth_map_path='depth' and depth_file, see docs/data.md
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=source_pipeline,
        ),
        target=dict(
            type='FolderDepthDataset',
            data_root=_base_.own_target_root,
            data_prefix=dict(img_path='images'),
            pipeline=target_pipeline,
        ),
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=classes),
        data_root=_base_.own_target_root,
        data_prefix=dict(img_path='val/images', seg_map_path='val/labels'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
model = dict(decode_head=dict(num_classes=len(classes), predicted_depth='source'))
custom_hooks = [dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1)]
