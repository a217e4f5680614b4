# Licensed under the Apache License 2.0, see LICENSE.
"""Data preprocessors: they make normalized tensors on the device of a batch of the data loader."""

from .sequence_data_preprocessor import SequenceDataPreProcessor
from .uda_data_preprocessor import UDADataPreProcessor

__all__ = [
    'SequenceDataPreProcessor',
    'UDADataPreProcessor',
]
