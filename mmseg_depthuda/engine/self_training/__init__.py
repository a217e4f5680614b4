# Licensed under the Apache License 2.0, see LICENSE.
"""The pieces of self-training: what labels the target, and what is made of the labelled images."""

from .branch_makers import BranchMaker, ClassMix, MaskImage
from .pseudo_labelers import ConfidentShare, Networks, PseudoLabels, StoredLabels

__all__ = [
    'BranchMaker',
    'ClassMix',
    'ConfidentShare',
    'MaskImage',
    'Networks',
    'PseudoLabels',
    'StoredLabels',
]
