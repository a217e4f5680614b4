# Licensed under the Apache License 2.0, see LICENSE.
# The student of a selection: 4000 iterations after the first step, 8000 after the second, ...
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4000)
