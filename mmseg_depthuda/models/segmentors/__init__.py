# Licensed under the Apache License 2.0, see LICENSE.
"""Segmentors: they compute the losses of the branches of a batch."""

from .adversarial_segmentor import AdversarialSegmentor
from .branch_training import train_passes
from .depth_tta_model import DepthTTAModel
from .minent_segmentor import MinEntSegmentor
from .multi_task_uda_segmentor import MultiTaskUDASegmentor
from .self_supervised_depth import SelfSupervisedDepth
from .supervised_depth import SupervisedDepth
from .uda_segmentor import UDASegmentor

__all__ = [
    'AdversarialSegmentor',
    'DepthTTAModel',
    'MinEntSegmentor',
    'MultiTaskUDASegmentor',
    'SelfSupervisedDepth',
    'SupervisedDepth',
    'UDASegmentor',
    'train_passes',
]
