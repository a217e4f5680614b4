# Licensed under the Apache License 2.0, see LICENSE.
from .uda_data_preprocessor import UDADataPreProcessor

__all__ = ['UDADataPreProcessor']
