# Licensed under the Apache License 2.0, see LICENSE.
"""Transforms that load labels and depth and keep them aligned with the image."""

from .depth_files import DEPTH_ENCODINGS, DEPTH_FILES
from .geometric import (
    MatchOriShapeToLabels,
    ResizeAndPad,
    ResizeWithDepth,
    resize_depth_bilinear,
)
from .loading import LoadInverseDepth, LoadLabels, read_inverse_depth, read_labels
from .sequence import LoadSequence, PackSequenceInputs, ResizeSequence

__all__ = [
    'DEPTH_ENCODINGS',
    'DEPTH_FILES',
    'LoadInverseDepth',
    'LoadLabels',
    'LoadSequence',
    'MatchOriShapeToLabels',
    'PackSequenceInputs',
    'ResizeAndPad',
    'ResizeSequence',
    'ResizeWithDepth',
    'read_inverse_depth',
    'read_labels',
    'resize_depth_bilinear',
]
