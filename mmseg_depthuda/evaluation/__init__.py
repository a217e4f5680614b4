# Licensed under the Apache License 2.0, see LICENSE.
"""Metrics."""

from .per_class_iou_metric import PerClassIoUMetric

__all__ = ['PerClassIoUMetric']
