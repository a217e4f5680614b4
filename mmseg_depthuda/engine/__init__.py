# Licensed under the Apache License 2.0, see LICENSE.
"""What runs around the model: hooks, optimisers, schedules, launching."""

from . import hooks, optimizers, schedulers

__all__ = ['hooks', 'optimizers', 'schedulers']
