# Licensed under the Apache License 2.0, see LICENSE.
# The same budget with discriminators: the segmentor learns as without them.
_base_ = './street_world_adversarial.py'
optim_wrapper = dict(
    segmentor=dict(
        optimizer=dict(lr=2e-4),
        paramwise_cfg=dict(custom_keys=dict(decode_head=dict(lr_mult=10))),
    ),
)
train_cfg = dict(max_iters=500, val_interval=500)
