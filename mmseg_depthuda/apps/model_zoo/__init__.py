# Licensed under the Apache License 2.0, see LICENSE.
"""Metafiles and the page of the model zoo, written from the configs and one table of results."""

from .zoo_entries import Experiment, Method, Result, read_experiments, read_methods
from .zoo_files import stale_files, zoo_files

__all__ = [
    'Experiment',
    'Method',
    'Result',
    'read_experiments',
    'read_methods',
    'stale_files',
    'zoo_files',
]
