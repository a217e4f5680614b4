# Licensed under the Apache License 2.0, see LICENSE.
# A student small enough for two CPU cores, of half the width, trained from scratch.
_base_ = './depth_student_r50.py'
model = dict(
    data_preprocessor=dict(size_divisor=32, test_cfg=dict(size_divisor=32)),
    backbone=dict(
        depth=18,
        strides=(1, 2, 2, 2),
        dilations=(1, 1, 1, 1),
        base_channels=32,
        stem_channels=32,
        init_cfg=None,
    ),
    decode_head=dict(
        in_channels=[32, 32, 64, 128, 256],
        channels=[16, 32, 64, 128, 256],
        aspp_dilations=None,
        norm_cfg=None,
    ),
)
