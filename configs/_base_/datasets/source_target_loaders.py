# Licensed under the Apache License 2.0, see LICENSE.
# What all experiments with a source and a target share: two images of each per batch, drawn
# independently; validation image by image.
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='SourceTargetSampler'),
    dataset=dict(type='SourceTargetDataset'),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='PerClassIoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator

# Test-time augmentation (test.py --tta), in place of the last step of a test pipeline: MMSeg's
# scales and flips of the image. Labels stay as they are.
tta_steps = [
    dict(type='CutPadding'),  # does nothing without padding, or where labels are padded, too
    dict(type='MatchOriShapeToLabels'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale_factor=scale_factor, keep_ratio=True)
                for scale_factor in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='PackSegInputs')],
        ],
    ),
]
