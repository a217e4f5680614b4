# Licensed under the Apache License 2.0, see LICENSE.
"""Depth from stereo pairs: matching, inpainting, files."""

from .inpainting import inpaint_disparity
from .matching import largest_disparity, left_right_consistent, match_stereo, matched_disparity
from .pair_matching import MatchingOptions, convert_pairs
from .rectification import StereoPairError, check_rectified
from .stereo_camera import StereoCamera, read_camera

__all__ = [
    'MatchingOptions',
    'StereoCamera',
    'StereoPairError',
    'check_rectified',
    'convert_pairs',
    'inpaint_disparity',
    'largest_disparity',
    'left_right_consistent',
    'match_stereo',
    'matched_disparity',
    'read_camera',
]
