# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule of DACS and CorDA: 250 000 iterations, 10 x learning rate on the heads,
# poly decay to 0 that ends with `max_iters`, no warm-up. Backbone weights are updated several times
# per step as in the releases; the reading of the papers is
# `optim_wrapper.paramwise_cfg.repeat_backbone=False`.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
    constructor='DeepLabOptimWrapperConstructor',
    paramwise_cfg=dict(head_lr_mult=10.0, repeat_backbone=True),
)
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=250000, val_interval=5000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
