# Licensed under the Apache License 2.0, see LICENSE.
"""Registries for those parts of a method that MMSegmentation has no registry for.

Any file that ``custom_imports`` names can register a new entry; the package has no fixed list of
names. Datasets, models, hooks and optimizers are in MMSegmentation's own registries.
"""

from mmengine.registry import Registry

# Configs are built in MMSegmentation's scope.
TASKS = Registry('task', scope='mmseg')
"""What a head predicts besides the classes: subclasses of :class:`~.structures.DenseTask`."""
SPACES = Registry('space', scope='mmseg')
"""Inputs of a discriminator: subclasses of :class:`~.models.discriminators.Space`."""
PSEUDO_LABELERS = Registry('pseudo labeler', scope='mmseg')
"""Labels for unlabeled images and the trust in them: see :class:`~.engine.hooks.ConfidentShare`."""
BRANCH_MAKERS = Registry('branch maker', scope='mmseg')
"""Branches made from other branches: subclasses of :class:`~.engine.hooks.BranchMaker`."""
CLASS_SAMPLERS = Registry('class sampler', scope='mmseg')
"""Which classes :class:`~.engine.self_training.ClassMix` pastes: see
:class:`~.engine.self_training.HalfOfClasses`."""

__all__ = ['BRANCH_MAKERS', 'CLASS_SAMPLERS', 'PSEUDO_LABELERS', 'SPACES', 'TASKS']
