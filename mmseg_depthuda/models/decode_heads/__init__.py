# Licensed under the Apache License 2.0, see LICENSE.
from .corda_head import CorDAHead
from .deeplab_v2_head import DeepLabV2Classifier, DeepLabV2Head
from .seg_weight_mixin import SegWeightMixin

__all__ = ['CorDAHead', 'DeepLabV2Classifier', 'DeepLabV2Head', 'SegWeightMixin']
