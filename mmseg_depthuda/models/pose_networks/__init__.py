# Licensed under the Apache License 2.0, see LICENSE.
"""Networks that predict the motion of the camera between two frames."""

from .pose_net import PoseNet

__all__ = ['PoseNet']
