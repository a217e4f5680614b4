# Licensed under the Apache License 2.0, see LICENSE.
"""Metrics."""

from .image_scores import ImageScores, read_image_scores, score_images, write_image_scores
from .inverse_depth_metric import InverseDepthMetric
from .negative_transfer import NegativeTransfer, negative_transfer
from .per_class_iou_metric import PerClassIoUMetric
from .pseudo_label_quality import count_by_agreement, count_pseudo_labels

__all__ = [
    'ImageScores',
    'InverseDepthMetric',
    'NegativeTransfer',
    'PerClassIoUMetric',
    'count_by_agreement',
    'count_pseudo_labels',
    'negative_transfer',
    'read_image_scores',
    'score_images',
    'write_image_scores',
]
