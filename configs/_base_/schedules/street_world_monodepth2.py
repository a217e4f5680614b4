# Licensed under the Apache License 2.0, see LICENSE.
# The small setting: from scratch in about 15 minutes on two CPU cores.
max_iters = 1200
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-4))
param_scheduler = [
    dict(type='MultiStepLR', milestones=[900], gamma=0.1, by_epoch=False, end=max_iters)
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=max_iters, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
