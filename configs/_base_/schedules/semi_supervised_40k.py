# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule: SGD, the encoder with a tenth of the learning rate, a tenth of all from
# 30 000 of 40 000 iterations on, gradients clipped at the norm 10.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-2, momentum=0.9, weight_decay=5e-4),
    clip_grad=dict(max_norm=10),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
)
param_scheduler = [dict(type='RunMultiStepLR', milestones=[0.75], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=40000, val_interval=2500)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
