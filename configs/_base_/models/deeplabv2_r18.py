# A network small enough for two CPU cores, trained from scratch: output stride 16, trainable BatchNorm.
_base_ = './deeplabv2_r101.py'
model = dict(
    backbone=dict(
        depth=18,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        norm_cfg=dict(type='BN', requires_grad=True),
        init_cfg=None,
    ),
    decode_head=dict(in_channels=512),
)
