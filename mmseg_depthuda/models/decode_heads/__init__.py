# Licensed under the Apache License 2.0, see LICENSE.
"""Decode heads: segmentation, and segmentation with depth."""

from .corda_head import CorDAHead
from .dada_head import DADAHead
from .deeplab_v2_head import DeepLabV2Classifier, DeepLabV2Head
from .depth_distribution_head import DensityTask, DepthDistributionHead
from .pad_head import PADHead
from .seg_depth_head import SegDepthHead
from .seg_weight_mixin import SegWeightMixin
from .simple_aux_head import SimpleAuxHead
from .unet_decoder import UNetDecoder
from .unet_depth_head import UNetDepthHead
from .unet_seg_head import UNetSegHead

__all__ = [
    'CorDAHead',
    'DADAHead',
    'DeepLabV2Classifier',
    'DeepLabV2Head',
    'DensityTask',
    'DepthDistributionHead',
    'PADHead',
    'SegDepthHead',
    'SegWeightMixin',
    'SimpleAuxHead',
    'UNetDecoder',
    'UNetDepthHead',
    'UNetSegHead',
]
