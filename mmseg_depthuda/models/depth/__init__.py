# Licensed under the Apache License 2.0, see LICENSE.
from .pose_net import PoseNet
from .resnet_with_stem import ResNetWithStem
from .self_supervised_depth import SelfSupervisedDepth
from .sequence_data_preprocessor import SequenceDataPreProcessor
from .unet_depth_head import UNetDepthHead

__all__ = [
    'PoseNet',
    'ResNetWithStem',
    'SelfSupervisedDepth',
    'SequenceDataPreProcessor',
    'UNetDepthHead',
]
