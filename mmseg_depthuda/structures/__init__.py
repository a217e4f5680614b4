# Licensed under the Apache License 2.0, see LICENSE.
"""What travels on a sample, and how a batch of it is stacked and resized."""

from .pixel_data import stack_pixel_data, upsample

__all__ = ['stack_pixel_data', 'upsample']
