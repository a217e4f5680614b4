# Licensed under the Apache License 2.0, see LICENSE.
"""Parts of self-training: they label the target, and make branches of the labeled images."""

from .branch_makers import BranchMaker, ClassMix, DepthMix, ImageMix, MaskImage
from .class_samplers import ClassSampler, GivenClasses, HalfOfClasses
from .pseudo_labelers import ConfidentShare, Networks, PseudoLabels, StoredLabels

__all__ = [
    'BranchMaker',
    'ClassMix',
    'ClassSampler',
    'ConfidentShare',
    'DepthMix',
    'GivenClasses',
    'HalfOfClasses',
    'ImageMix',
    'MaskImage',
    'Networks',
    'PseudoLabels',
    'StoredLabels',
]
