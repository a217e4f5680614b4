# Licensed under the Apache License 2.0, see LICENSE.
"""Metrics."""

from .inverse_depth_metric import InverseDepthMetric
from .per_class_iou_metric import PerClassIoUMetric
from .pseudo_label_quality import count_by_agreement, count_pseudo_labels

__all__ = [
    'InverseDepthMetric',
    'PerClassIoUMetric',
    'count_by_agreement',
    'count_pseudo_labels',
]
