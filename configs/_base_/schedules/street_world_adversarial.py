# Licensed under the Apache License 2.0, see LICENSE.
# The small setting with discriminators. The segmentor's optimizer is the same as without them.
_base_ = './street_world.py'
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='PartsOptimWrapperConstructor',
    segmentor=dict(optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01)),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)
