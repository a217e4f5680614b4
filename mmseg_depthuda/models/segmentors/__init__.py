# Licensed under the Apache License 2.0, see LICENSE.
from .branch_training import train_by_branch
from .depth_tta_model import DepthTTAModel
from .uda_segmentor import UDASegmentor

__all__ = ['DepthTTAModel', 'UDASegmentor', 'train_by_branch']
