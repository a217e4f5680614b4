# Licensed under the Apache License 2.0, see LICENSE.
from .pose_net import PoseNet

__all__ = ['PoseNet']
