# Licensed under the Apache License 2.0, see LICENSE.
from .branch_training import InvalidLossError, train_by_branch
from .uda_segmentor import UDASegmentor

__all__ = ['InvalidLossError', 'UDASegmentor', 'train_by_branch']
