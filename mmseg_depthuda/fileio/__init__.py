# Licensed under the Apache License 2.0, see LICENSE.
"""Files that are complete or absent, parallel work that can be stopped, and checkpoints."""

from .atomic import AtomicBackend, atomic_write
from .checkpoints import (
    TRAINED_STATE,
    checkpoint_damage,
    last_finite_checkpoint,
    latest_checkpoint,
)
from .folders import path_below
from .processes import map_in_processes
from .state_dicts import StateDifference, compare_shapes, tensor_shapes

__all__ = [
    'TRAINED_STATE',
    'AtomicBackend',
    'StateDifference',
    'atomic_write',
    'checkpoint_damage',
    'compare_shapes',
    'last_finite_checkpoint',
    'latest_checkpoint',
    'map_in_processes',
    'path_below',
    'tensor_shapes',
]
