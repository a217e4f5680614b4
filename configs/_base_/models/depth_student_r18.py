# Licensed under the Apache License 2.0, see LICENSE.
# A student of stored depth, small enough for two CPU cores, trained from scratch.
data_preprocessor = dict(
    type='UDADataPreProcessor',
    mean=[114.75] * 3,
    std=[57.375] * 3,
    bgr_to_rgb=True,
    size_divisor=32,
    test_cfg=dict(size_divisor=32),
)
model = dict(
    type='SupervisedDepth',
    data_preprocessor=data_preprocessor,
    backbone=dict(type='ResNetWithStem', depth=18, base_channels=32, stem_channels=32),
    decode_head=dict(type='UNetDepthHead', in_channels=[32, 32, 64, 128, 256]),
)
