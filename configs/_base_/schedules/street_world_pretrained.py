# Licensed under the Apache License 2.0, see LICENSE.
# The one budget of all experiments on the small pretrained network; docs/benchmarks.md has the
# reasons.
_base_ = './street_world.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))),
)
train_cfg = dict(max_iters=500, val_interval=500)
