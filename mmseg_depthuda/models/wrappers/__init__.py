# Licensed under the Apache License 2.0, see LICENSE.
"""A wrapper for distributed training, and a function that takes wrappers off."""

from .bare_model import bare_model
from .uda_distributed import UDADistributedDataParallel

__all__ = ['UDADistributedDataParallel', 'bare_model']
