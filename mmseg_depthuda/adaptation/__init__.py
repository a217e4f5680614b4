# Licensed under the Apache License 2.0, see LICENSE.
"""Pure tensor functions of the adaptation methods: no registry, no config, no state."""

from .augmentation import AugmentationDraws, draw_strong_augmentation, strong_augmentation
from .block_masks import block_mask
from .class_masks import class_mask, class_mix_mask, draw_half_of_classes
from .depth import INVALID_DEPTH, valid_depth
from .depth_masks import depth_mix_mask, draw_margins, draw_thresholds, min_max_normalized
from .difficulty import batch_mean, depth_agreement, unit_mean
from .ema import ema_alpha, ema_update
from .geometry_cost import geometry_cost
from .mixing import mix
from .pseudo_labels import confident_share, pseudo_label_weight, pseudo_labels
from .self_information import fuse_with_map, mean_entropy, weighted_self_information

__all__ = [
    'INVALID_DEPTH',
    'AugmentationDraws',
    'batch_mean',
    'block_mask',
    'class_mask',
    'class_mix_mask',
    'draw_half_of_classes',
    'confident_share',
    'depth_agreement',
    'depth_mix_mask',
    'draw_margins',
    'draw_strong_augmentation',
    'draw_thresholds',
    'ema_alpha',
    'ema_update',
    'fuse_with_map',
    'geometry_cost',
    'mean_entropy',
    'min_max_normalized',
    'mix',
    'pseudo_label_weight',
    'pseudo_labels',
    'strong_augmentation',
    'unit_mean',
    'valid_depth',
    'weighted_self_information',
]
