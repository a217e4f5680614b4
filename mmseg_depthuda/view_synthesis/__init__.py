# Licensed under the Apache License 2.0, see LICENSE.
"""Pure tensor functions of self-supervised depth: warp views into a frame, measure the error."""

from .geometry import disparity_to_depth, pose_matrix, warp
from .photometric import (
    edge_aware_smoothness,
    feature_distance,
    minimum_reprojection,
    photometric_error,
    ssim,
)

__all__ = [
    'disparity_to_depth',
    'edge_aware_smoothness',
    'feature_distance',
    'minimum_reprojection',
    'photometric_error',
    'pose_matrix',
    'ssim',
    'warp',
]
