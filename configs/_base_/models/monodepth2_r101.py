# Licensed under the Apache License 2.0, see LICENSE.
# Monodepth2 on ResNet-101 with the decoder "dec6" of Hoyer et al., IJCV 2023.
imagenet = dict(type='Pretrained', prefix='backbone.')
data_preprocessor = dict(
    type='SequenceDataPreProcessor',
    mean=[114.75] * 3,  # (x - 0.45) / 0.225 of x in 0..1
    std=[57.375] * 3,
    flip_prob=0.5,
    color_jitter=dict(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, p=0.5),
)
model = dict(
    type='SelfSupervisedDepth',
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='ResNetWithStem',
        depth=101,
        # Stride 16.
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        contract_dilation=True,
        # Frozen at first; see configs/monodepth2/monodepth2_r101_cs_unfrozen.py.
        frozen_stages=4,
        norm_eval=True,
        init_cfg=dict(imagenet, checkpoint='mmcls://resnet101'),
    ),
    decode_head=dict(
        type='UNetDepthHead',
        in_channels=[64, 256, 512, 1024, 2048],
        channels=[64, 128, 128, 256, 256],
        aspp_dilations=[6, 12, 18],
    ),
    pose_net=dict(
        type='PoseNet',
        backbone=dict(
            type='ResNet', depth=18, init_cfg=dict(imagenet, checkpoint='mmcls://resnet18')
        ),
    ),
)
