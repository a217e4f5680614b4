# Licensed under the Apache License 2.0, see LICENSE.
# DADA: the residual auxiliary block, and a discriminator on self-information times depth.
_base_ = './advent_r101.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='DADAHead',
        in_channels=2048,
        in_index=3,
        num_classes=19,
        num_summed=4,
        loss_weights=dict(source=dict(seg=1.0, depth=0.001)),
    ),
    alignments=dict(main=dict(space='depth_aware', discriminator_weight=1.0)),
)
