# Licensed under the Apache License 2.0, see LICENSE.
"""IoU of every class as a number, not only as a row of a printed table."""

from __future__ import annotations

import torch
from mmseg.evaluation import IoUMetric
from mmseg.registry import METRICS
from torch import Tensor


@METRICS.register_module()
class PerClassIoUMetric(IoUMetric):
    """MMSeg's ``IoUMetric`` that also returns ``IoU.CLASS`` for each class.

    Args:
        *args, **kwargs: Arguments of MMSeg's ``IoUMetric``.
    """

    def compute_metrics(self, results: list[tuple[Tensor, ...]]) -> dict[str, float]:
        """Sum the areas of all images.

        Args:
            results (list[tuple[Tensor, ...]]): Per image the areas of intersection, union,
                prediction and label, each (num_classes,), in pixels.

        Returns:
            dict[str, float]: What ``IoUMetric`` returns, and ``IoU.CLASS`` in percent; NaN for a
            class that neither a label nor a prediction contains.
        """
        metrics = super().compute_metrics(results)
        intersection, union = (
            torch.stack([areas[index] for areas in results]).sum(0) for index in (0, 1)
        )
        iou = (100 * intersection / union).tolist()
        return metrics | {
            f'IoU.{name}': value
            for name, value in zip(self.dataset_meta['classes'], iou, strict=True)
        }
