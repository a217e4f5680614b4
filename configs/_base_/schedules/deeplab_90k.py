# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule of DADA, and of what it is measured against: 90 000 iterations of one
# source and one target image, 10 x learning rate on the heads, poly decay to 0,
# which ends with `max_iters`. The paper has weight_decay=1e-4.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    constructor='DeepLabOptimWrapperConstructor',
    paramwise_cfg=dict(head_lr_mult=10.0, repeat_backbone=True),
)
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=90000, val_interval=2000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
