# Licensed under the Apache License 2.0, see LICENSE.
# The depth network "dec6" of Hoyer et al. (CVPR 2021, IJCV 2023) with a classifier for disparity.
data_preprocessor = dict(
    type='UDADataPreProcessor',
    mean=[114.75] * 3,  # (x - 0.45) / 0.225 of x in 0..1
    std=[57.375] * 3,
    bgr_to_rgb=True,
    size_divisor=1,
    test_cfg=dict(size_divisor=16),
)
model = dict(
    type='UDASegmentor',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetWithStem',
        depth=101,
        # Stride 16.
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        init_cfg=dict(type='Pretrained', prefix='backbone.', checkpoint='mmcls://resnet101'),
    ),
    decode_head=dict(
        type='UNetSegHead',
        in_channels=[64, 256, 512, 1024, 2048],
        channels=[64, 128, 128, 256, 256],
        aspp_dilations=[6, 12, 18],
        num_classes=19,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
