# Licensed under the Apache License 2.0, see LICENSE.
"""Distributed wrappers, and the model under them."""

from .bare_model import bare_model
from .separate_distributed import UDASeparateDistributedDataParallel
from .uda_distributed import UDADistributedDataParallel

__all__ = ['UDADistributedDataParallel', 'UDASeparateDistributedDataParallel', 'bare_model']
