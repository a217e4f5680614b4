# Licensed under the Apache License 2.0, see LICENSE.
# A network small enough for two CPU cores, of half the width, trained from scratch.
_base_ = './monodepth2_r101.py'
model = dict(
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]),
    backbone=dict(
        depth=18,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        base_channels=32,
        stem_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    decode_head=dict(
        in_channels=[32, 32, 64, 128, 256],
        channels=[16, 32, 64, 128, 256],
        aspp_dilations=None,
    ),
    pose_net=dict(
        backbone=dict(base_channels=32, stem_channels=32, init_cfg=None), in_channels=256
    ),
)
