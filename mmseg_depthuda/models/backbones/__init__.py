# Licensed under the Apache License 2.0, see LICENSE.
from .deeplab_resnet import DeepLabV2ResNet
from .resnet_with_stem import ResNetWithStem

__all__ = [
    'DeepLabV2ResNet',
    'ResNetWithStem',
]
