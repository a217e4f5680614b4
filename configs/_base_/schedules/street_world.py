# Licensed under the Apache License 2.0, see LICENSE.
# The small setting: a network from scratch in minutes on two CPU cores.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
)
# The warm-up is a share of the run: `train_cfg.max_iters` alone changes its length.
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, warmup=0.1, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1000, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
