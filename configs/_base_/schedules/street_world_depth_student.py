# Licensed under the Apache License 2.0, see LICENSE.
# The small setting: 200 iterations after the first step, 400 after the second, ...
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=200)
