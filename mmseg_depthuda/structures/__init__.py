# Licensed under the Apache License 2.0, see LICENSE.
"""Branches, domains and tasks; the pixel maps of a sample, and how a batch of them is stacked."""

from .branches import (
    DEFAULT_BRANCH,
    branch_of,
    domains_of,
    is_batch_of_branches,
    is_preprocessed,
)
from .pixel_data import pack_pixel_data, stack_pixel_data, stack_required, upsample
from .sample_fields import SAMPLE_FIELDS, SampleField, register_sample_field, sample_field
from .tasks import DenseTask, dense_task

__all__ = [
    'DEFAULT_BRANCH',
    'SAMPLE_FIELDS',
    'DenseTask',
    'SampleField',
    'branch_of',
    'dense_task',
    'domains_of',
    'is_batch_of_branches',
    'is_preprocessed',
    'pack_pixel_data',
    'register_sample_field',
    'sample_field',
    'stack_pixel_data',
    'stack_required',
    'upsample',
]
