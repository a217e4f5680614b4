# Licensed under the Apache License 2.0, see LICENSE.
from .adversarial_segmentor import AdversarialSegmentor
from .branch_training import train_by_branch
from .depth_tta_model import DepthTTAModel
from .minent_segmentor import MinEntSegmentor
from .uda_segmentor import UDASegmentor

__all__ = [
    'AdversarialSegmentor',
    'DepthTTAModel',
    'MinEntSegmentor',
    'UDASegmentor',
    'train_by_branch',
]
