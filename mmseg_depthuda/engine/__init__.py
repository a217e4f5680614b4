# Licensed under the Apache License 2.0, see LICENSE.
"""What runs around the model: hooks, optimizers, schedules, self-training, launching."""

from . import hooks, optimizers, schedulers, self_training

__all__ = ['hooks', 'optimizers', 'schedulers', 'self_training']
