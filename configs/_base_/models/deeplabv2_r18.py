# Licensed under the Apache License 2.0, see LICENSE.
# A network small enough for two CPU cores, trained from scratch, so that its BatchNorm learns too.
_base_ = './deeplabv2_r101.py'
model = dict(
    backbone=dict(
        depth=18,
        base_channels=32,
        stem_channels=32,
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=None,
    ),
    decode_head=dict(in_channels=256),
)
