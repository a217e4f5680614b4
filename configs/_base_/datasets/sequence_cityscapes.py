# Licensed under the Apache License 2.0, see LICENSE.
# Video in Cityscapes' layout; evaluated on its validation images one by one, with median scaling,
# at the size of the image files.
_base_ = ['../data_roots.py', './sequence_loaders.py']

train_dataloader = dict(dataset=dict(type='CityscapesSequenceDataset', split='train'))
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CityscapesDepthDataset',
        split='val',
        data_prefix=dict(seg_map_path=None),
        test_mode=True,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='InverseDepthMetric',
    scale='median',
    prediction='inverse',
    min_depth_eval=1e-3,
    max_depth_eval=80.0,
)
test_evaluator = val_evaluator
