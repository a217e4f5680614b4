# Licensed under the Apache License 2.0, see LICENSE.
"""From a batch of the data loader to normalized tensors on the device."""

from .sequence_data_preprocessor import SequenceDataPreProcessor
from .uda_data_preprocessor import UDADataPreProcessor

__all__ = [
    'SequenceDataPreProcessor',
    'UDADataPreProcessor',
]
