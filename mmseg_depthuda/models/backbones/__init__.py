# Licensed under the Apache License 2.0, see LICENSE.
"""Backbones: DeepLab-v2's ResNet, and a ResNet that also returns its stem."""

from .deeplab_resnet import DeepLabV2ResNet
from .resnet_with_stem import ResNetWithStem

__all__ = [
    'DeepLabV2ResNet',
    'ResNetWithStem',
]
