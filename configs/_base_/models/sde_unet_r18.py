# Licensed under the Apache License 2.0, see LICENSE.
# The small depth network of ./monodepth2_r18.py with a classifier for disparity.
_base_ = './sde_unet_r101.py'
model = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        depth=18,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        contract_dilation=False,
        base_channels=32,
        stem_channels=32,
        init_cfg=None,
    ),
    decode_head=dict(
        in_channels=[32, 32, 64, 128, 256],
        channels=[16, 32, 64, 128, 256],
        aspp_dilations=None,
    ),
)
