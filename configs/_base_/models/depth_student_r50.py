# Licensed under the Apache License 2.0, see LICENSE.
# The student of a data selection (Hoyer et al., CVPR 2021): the decoder "dec9" on ResNet-50.
data_preprocessor = dict(
    type='UDADataPreProcessor',
    mean=[114.75] * 3,  # 0.45 of 255
    std=[57.375] * 3,  # 0.225 of 255
    bgr_to_rgb=True,
    size_divisor=16,
    test_cfg=dict(size_divisor=16),
)
model = dict(
    type='SupervisedDepth',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetWithStem',
        depth=50,
        # Stride 16.
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', checkpoint='mmcls://resnet50', prefix='backbone.'),
    ),
    decode_head=dict(
        type='UNetDepthHead',
        in_channels=[64, 256, 512, 1024, 2048],
        channels=[64, 64, 128, 128, 256],
        aspp_dilations=[6, 12, 18],
        norm_cfg=dict(type='BN'),
    ),
)
