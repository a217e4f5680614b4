# Licensed under the Apache License 2.0, see LICENSE.
"""Optimizers and the construction of their parameter groups."""

from .deeplab_constructor import DeepLabOptimWrapperConstructor
from .parts_constructor import PartsOptimWrapperConstructor
from .repeated_sgd import RepeatedSGD

__all__ = [
    'DeepLabOptimWrapperConstructor',
    'PartsOptimWrapperConstructor',
    'RepeatedSGD',
]
