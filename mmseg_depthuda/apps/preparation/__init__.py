# Licensed under the Apache License 2.0, see LICENSE.
"""Checking and converting downloaded datasets, once, before training."""

from .inspection import Inspection, Problem, inspect
from .label_preparation import SplitResult, prepare_split
from .record import Record
from .splits import Sample, Split, cityscapes_splits, folder_split

__all__ = [
    'Inspection',
    'Problem',
    'Record',
    'Sample',
    'Split',
    'SplitResult',
    'cityscapes_splits',
    'folder_split',
    'inspect',
    'prepare_split',
]
