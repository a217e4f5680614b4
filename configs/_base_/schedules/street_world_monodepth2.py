# Licensed under the Apache License 2.0, see LICENSE.
# The small setting: from scratch in about 15 minutes on two CPU cores.
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=3e-4))
param_scheduler = [dict(type='RunMultiStepLR', milestones=[0.75], gamma=0.1, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1200, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
