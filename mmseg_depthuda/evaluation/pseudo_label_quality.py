# Licensed under the Apache License 2.0, see LICENSE.
"""Counts how many pseudo-labels are right: of all pixels, of confident ones, by agreement."""

from __future__ import annotations

import torch
from torch import Tensor

from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX


def count_pseudo_labels(
    label: Tensor, confidence: Tensor, truth: Tensor, threshold: float
) -> Tensor:
    """Count the pixels whose true label is known.

    Args:
        label: Pseudo-labels, integer, any shape.
        confidence: Their maximal softmax, floating point, in ``0 .. 1``, of that shape.
        truth: True labels, integer, of that shape; 255 where there is none.
        threshold: A pseudo-label is confident at this softmax.

    Returns:
        Tensor: int64, (2, 2): ``counts[i, j]`` is the number of pixels that are confident (``i``)
        and right (``j``).

    Example:
        >>> label, truth = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 255])
        >>> count_pseudo_labels(label, torch.tensor([0.9, 0.9, 0.5, 0.9]), truth, threshold=0.8)
        tensor([[0, 1],
                [1, 1]])
    """
    return _cross_count(confidence >= threshold, 2, label == truth, truth != IGNORE_INDEX)


def count_by_agreement(
    label: Tensor, agreement: Tensor, truth: Tensor, counted: Tensor, num_bins: int
) -> Tensor:
    """Count the pixels whose true label is known by the agreement of the depth decoders.

    Args:
        label: Pseudo-labels, integer, any shape.
        agreement: Agreement of the student's depth decoders, in ``0 .. 1``, of that shape; 1 is
            easy, 0 is difficult (:func:`~mmseg_depthuda.adaptation.difficulty.depth_agreement`).
        truth: True labels, integer, of that shape; 255 where there is none.
        counted: Bool, of that shape: false where the agreement says nothing, as on pixels without
            depth.
        num_bins: Number of bins of equal width; the last one contains 1.

    Returns:
        Tensor: int64, (num_bins, 2): ``counts[i, j]`` is the number of pixels in bin ``i`` that are
        right (``j``).
    """
    bins = (agreement * num_bins).long().clamp_(0, num_bins - 1)
    return _cross_count(bins, num_bins, label == truth, counted & (truth != IGNORE_INDEX))


def _cross_count(groups: Tensor, num_groups: int, right: Tensor, counted: Tensor) -> Tensor:
    """Count the pixels of each group that are wrong and right, (num_groups, 2)."""
    index = (2 * groups.long() + right)[counted]
    return torch.bincount(index, minlength=2 * num_groups).view(num_groups, 2)
