# Licensed under the Apache License 2.0, see LICENSE.
"""What runs around the model: hooks, optimisers, launching."""

from . import hooks, optimizers

__all__ = ['hooks', 'optimizers']
