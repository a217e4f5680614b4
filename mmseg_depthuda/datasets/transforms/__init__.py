# Licensed under the Apache License 2.0, see LICENSE.
"""Transforms that load labels and depth and keep them aligned with the image."""

from ..depth_encodings import DEPTH_ENCODINGS
from .depth_files import DEPTH_FILES
from .geometric import (
    CutPadding,
    MatchOriShapeToLabels,
    ResizeAndPad,
    ResizeWithDepth,
    check_padding_is_cut,
    resize_depth_bilinear,
)
from .label_files import read_label_ids, read_labels
from .load_image import LoadImageFromFile, LoadImageFromNDArray
from .loading import LoadInverseDepth, LoadLabels, read_inverse_depth
from .normalize_depth import NormalizeDepth
from .packing import PackSegInputs
from .sequence import (
    LoadNeighboringFrames,
    LoadSequence,
    PackSequenceInputs,
    RandomCropSequence,
    RandomFlipSequence,
    ResizeSequence,
)
from .stored_pseudo_labels import LoadPseudoLabels

__all__ = [
    'DEPTH_ENCODINGS',
    'DEPTH_FILES',
    'CutPadding',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'LoadInverseDepth',
    'LoadLabels',
    'LoadNeighboringFrames',
    'LoadPseudoLabels',
    'LoadSequence',
    'MatchOriShapeToLabels',
    'NormalizeDepth',
    'PackSegInputs',
    'PackSequenceInputs',
    'RandomCropSequence',
    'RandomFlipSequence',
    'ResizeAndPad',
    'ResizeSequence',
    'ResizeWithDepth',
    'check_padding_is_cut',
    'read_inverse_depth',
    'read_label_ids',
    'read_labels',
    'resize_depth_bilinear',
]
