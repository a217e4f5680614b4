# Licensed under the Apache License 2.0, see LICENSE.
from .depth_files import DEPTH_ENCODINGS, DEPTH_FILES
from .geometric import (
    MatchOriShapeToLabels,
    ResizeAndPad,
    ResizeWithDepth,
    resize_depth_bilinear,
)
from .load_image import LoadImageFromFile, LoadImageFromNDArray
from .loading import LoadInverseDepth, LoadLabels, read_inverse_depth, read_labels
from .packing import PackSegInputs
from .sequence import LoadSequence, PackSequenceInputs, ResizeSequence

__all__ = [
    'DEPTH_ENCODINGS',
    'DEPTH_FILES',
    'LoadImageFromFile',
    'LoadImageFromNDArray',
    'LoadInverseDepth',
    'LoadLabels',
    'LoadSequence',
    'MatchOriShapeToLabels',
    'PackSegInputs',
    'PackSequenceInputs',
    'ResizeAndPad',
    'ResizeSequence',
    'ResizeWithDepth',
    'read_inverse_depth',
    'read_labels',
    'resize_depth_bilinear',
]
