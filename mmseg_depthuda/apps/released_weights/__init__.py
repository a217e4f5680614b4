# Licensed under the Apache License 2.0, see LICENSE.
"""Weights that the authors of the methods released, and MMSegmentation checkpoints of them."""

from .sde_conversion import mmseg_to_sde, sde_to_mmseg
from .weight_conversion import (
    advent_to_mmseg,
    corda_to_mmseg,
    dacs_to_mmseg,
    dada_to_mmseg,
    deeplab_init_to_mmseg,
    depth_distribution_to_mmseg,
    mmseg_to_corda,
)

__all__ = [
    'advent_to_mmseg',
    'corda_to_mmseg',
    'dacs_to_mmseg',
    'dada_to_mmseg',
    'deeplab_init_to_mmseg',
    'depth_distribution_to_mmseg',
    'mmseg_to_corda',
    'mmseg_to_sde',
    'sde_to_mmseg',
]
