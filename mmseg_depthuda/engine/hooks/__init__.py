# Licensed under the Apache License 2.0, see LICENSE.
"""Hooks of the runner: self-training, and the safety of runs."""

from .dacs_hook import DACSHook
from .invalid_loss_hook import InvalidLossError, InvalidLossHook
from .iteration_seed_hook import IterationSeedHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .pseudo_label_quality_hook import PseudoLabelQualityHook
from .resume_hook import ResumeHook
from .strict_load_hook import StrictLoadHook
from .training_check_hook import TrainingCheckHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = [
    'DACSHook',
    'InvalidLossError',
    'InvalidLossHook',
    'IterationSeedHook',
    'PlainCheckpointHook',
    'PseudoLabelQualityHook',
    'ResumeHook',
    'StrictLoadHook',
    'TrainingCheckHook',
    'UDAVisualizationHook',
]
