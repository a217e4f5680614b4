# Licensed under the Apache License 2.0, see LICENSE.
from .uda_distributed import UDADistributedDataParallel

__all__ = ['UDADistributedDataParallel']
