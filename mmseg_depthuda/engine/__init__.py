# Licensed under the Apache License 2.0, see LICENSE.
"""What runs around the model: hooks, optimisers, files."""

from . import fileio, hooks, optimizers

__all__ = ['fileio', 'hooks', 'optimizers']
