# Licensed under the Apache License 2.0, see LICENSE.
"""Registries of what a method is made of, beside those of MMSegmentation.

A new entry is registered from any file that ``custom_imports`` names; nothing in the package lists
names. Datasets, models, hooks and optimizers are in MMSegmentation's own registries.
"""

from mmengine.registry import Registry

# Configs are built in MMSegmentation's scope.
TASKS = Registry('task', scope='mmseg')
"""What a head predicts beside the classes: subclasses of :class:`~.structures.DenseTask`."""
SPACES = Registry('space', scope='mmseg')
"""What a discriminator looks at: subclasses of :class:`~.models.discriminators.Space`."""
PSEUDO_LABELERS = Registry('pseudo labeler', scope='mmseg')
"""Labels of unlabeled images and the trust in them: see :class:`~.engine.hooks.ConfidentShare`."""
BRANCH_MAKERS = Registry('branch maker', scope='mmseg')
"""Branches made of others: subclasses of :class:`~.engine.hooks.BranchMaker`."""
CLASS_SAMPLERS = Registry('class sampler', scope='mmseg')
"""Which classes :class:`~.engine.self_training.ClassMix` pastes: see
:class:`~.engine.self_training.HalfOfClasses`."""

__all__ = ['BRANCH_MAKERS', 'CLASS_SAMPLERS', 'PSEUDO_LABELERS', 'SPACES', 'TASKS']
