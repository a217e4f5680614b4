# Licensed under the Apache License 2.0, see LICENSE.
"""What runs around the model: hooks, optimizers, self-training, launching."""

from . import hooks, optimizers, self_training

__all__ = ['hooks', 'optimizers', 'self_training']
