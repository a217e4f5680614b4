# Licensed under the Apache License 2.0, see LICENSE.
# Self-training begins anew with the same schedule, and stops early in it.
_base_ = './depth_distribution_90k.py'
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
)
train_cfg = dict(max_iters=30000)
