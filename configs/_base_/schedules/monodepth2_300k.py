# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule: 300 000 iterations, a tenth of the learning rate from 160 000 on.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [dict(type='RunMultiStepLR', milestones=[160 / 300], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=300000, val_interval=10000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
