# Licensed under the Apache License 2.0, see LICENSE.
"""Backbones: DeepLab-v2's ResNet, a ResNet that also returns its stem, EfficientNet-Lite."""

from .deeplab_resnet import DeepLabV2ResNet
from .dilated_depthwise_conv import DilatedDepthwiseConv2d
from .efficientnet_lite import EfficientNetLite
from .resnet_with_stem import ResNetWithStem

__all__ = [
    'DeepLabV2ResNet',
    'DilatedDepthwiseConv2d',
    'EfficientNetLite',
    'ResNetWithStem',
]
