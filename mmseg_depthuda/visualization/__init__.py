# Licensed under the Apache License 2.0, see LICENSE.
"""Drawing of samples and predictions."""

from .depth_local_visualizer import DepthLocalVisualizer

__all__ = ['DepthLocalVisualizer']
