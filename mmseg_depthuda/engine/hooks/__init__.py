# Licensed under the Apache License 2.0, see LICENSE.
"""Hooks of the runner: self-training, and the safety of runs."""

from .dacs_hook import DACSHook
from .data_check_hook import DataCheckHook
from .invalid_loss_hook import InvalidLossError, InvalidLossHook
from .iteration_seed_hook import IterationSeedHook
from .mean_teacher_hook import MeanTeacherHook
from .output_folders_hook import OutputFoldersHook
from .plain_checkpoint_hook import PlainCheckpointHook
from .pseudo_label_quality_hook import PseudoLabelQualityHook
from .resume_hook import ResumeHook
from .schedule_hook import ScheduleHook
from .self_training_hook import SelfTrainingHook
from .strict_load_hook import StrictLoadHook
from .subset_record_hook import SubsetRecordHook
from .task_gradients_hook import TaskGradientsHook
from .training_check_hook import TrainingCheckHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = [
    'DACSHook',
    'DataCheckHook',
    'InvalidLossError',
    'InvalidLossHook',
    'IterationSeedHook',
    'MeanTeacherHook',
    'OutputFoldersHook',
    'PlainCheckpointHook',
    'PseudoLabelQualityHook',
    'ResumeHook',
    'ScheduleHook',
    'SelfTrainingHook',
    'StrictLoadHook',
    'TaskGradientsHook',
    'SubsetRecordHook',
    'TrainingCheckHook',
    'UDAVisualizationHook',
]
