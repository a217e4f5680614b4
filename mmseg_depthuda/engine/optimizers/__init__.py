# Licensed under the Apache License 2.0, see LICENSE.
"""Optimisers and the construction of their parameter groups."""

from .adversarial_constructor import AdversarialOptimWrapperConstructor
from .deeplab_constructor import DeepLabOptimWrapperConstructor
from .repeated_sgd import RepeatedSGD

__all__ = [
    'AdversarialOptimWrapperConstructor',
    'DeepLabOptimWrapperConstructor',
    'RepeatedSGD',
]
