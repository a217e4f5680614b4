# Licensed under the Apache License 2.0, see LICENSE.
# The U-Net decoder on the small pretrained network, at output stride 16.
_base_ = './deeplabv2_effl0.py'
model = dict(
    data_preprocessor=dict(test_cfg=dict(size_divisor=16)),
    backbone=dict(output_stride=16, out_indices=(0, 1, 2, 3, 4)),
    decode_head=dict(
        _delete_=True,
        type='UNetSegHead',
        in_channels=[16, 24, 40, 80, 112],
        channels=[16, 32, 64, 128, 256],
        aspp_dilations=[3, 6, 9],
        num_classes=19,
    ),
)
