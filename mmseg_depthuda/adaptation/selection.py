# Licensed under the Apache License 2.0, see LICENSE.
"""Which images to label: diversity of features, and disagreement about depth.

Source of everything here: Hoyer et al., "Three Ways to Improve Semantic Segmentation with
Self-Supervised Depth Estimation", CVPR 2021, sec. 3.4, and their release.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CELLS = (4, 8)
"""Rows and columns to which features are pooled."""
ERROR_WEIGHT = 1000.0
"""Factor of an error that is added to distances."""
SMALLEST_DISPARITY = 0.07
"""Farther than this, disparities are not compared: mostly sky."""
WINDOW = 7  # pixels to which the sky is dilated
COMPARED_ROWS = 0.87
"""Share of the rows, from the top, that are compared: the car's own hood is below."""
_ROWS_AT_ONCE = 64  # chosen images whose distances are computed by one matrix product


def seeded_order(count: int, seed: int) -> np.ndarray:
    """A random order of images, by NumPy's legacy generator as in the release.

    Args:
        count: Number of images.
        seed: 0 .. 2**32 - 1.

    Returns:
        Permutation of 0 .. count - 1, int64, (count,).

    Example:
        >>> [int(seeded_order(2975, seed)[0]) for seed in (42, 43, 44)]
        [2403, 938, 1436]
    """
    return np.random.RandomState(seed).permutation(count)  # noqa: NPY002


def pooled_features(features: Tensor) -> Tensor:
    """Average a feature map over each cell of a grid of 4 x 8.

    Args:
        features: (N, C, h, w), floating point.

    Returns:
        (N, C, 4, 8), same dtype. A map of fewer rows or columns repeats them.
    """
    return F.adaptive_avg_pool2d(features, CELLS)


def standardized_descriptors(pooled: Tensor) -> Tensor:
    """Make every channel have mean 0 and variance 1 over all images and cells.

    Args:
        pooled: (N, C, 4, 8), floating point. It is changed, because a copy would double the memory.

    Returns:
        (N, C * 32), a view of ``pooled``. A channel that is constant is 0.
    """
    variance, mean = torch.var_mean(pooled, dim=(0, 2, 3), correction=0, keepdim=True)
    deviation = torch.where(variance > 0, variance, 1.0).sqrt()
    return pooled.sub_(mean).div_(deviation).flatten(1)


def farthest_points(
    descriptors: Tensor, chosen: Sequence[int], count: int, errors: Tensor | None = None
) -> list[int]:
    r"""Choose images one after the other, each the farthest from those chosen before.

    The next image is :math:`\arg\max_i (\min_{j \in chosen} \|x_i - x_j\|_2 + 1000 e_i)`, the first
    of equals. Each choice costs one product of the descriptors with a vector. No matrix of all
    pairs is made.

    Args:
        descriptors: (N, D), floating point.
        chosen: Images that are chosen already, at least one.
        count: How many to choose, at most those left.
        errors: (N,), not negative: how wrong the student is on each image. None: distance alone.

    Returns:
        ``count`` indices, in the order of their choice.

    Raises:
        ValueError: If nothing is chosen yet, or fewer than ``count`` images are left.

    Example:
        >>> farthest_points(torch.tensor([[0.0], [1.0], [9.0], [5.0]]), chosen=[0], count=2)
        [2, 3]
    """
    _check_left(len(descriptors), chosen, count)
    if not chosen:
        raise ValueError('farthest points need a first one: name it in `chosen`')
    lengths = descriptors.square().sum(dim=1)

    def distances(others: Tensor) -> Tensor:
        """(len(others), N)."""
        products = descriptors[others] @ descriptors.T
        return (lengths[others, None] + lengths - 2 * products).clamp(min=0).sqrt()

    taken = torch.tensor(chosen, device=descriptors.device)
    nearest = torch.full_like(lengths, torch.inf)
    for rows in taken.split(_ROWS_AT_ONCE):
        nearest = torch.minimum(nearest, distances(rows).amin(dim=0))
    added = torch.zeros_like(lengths) if errors is None else ERROR_WEIGHT * errors.to(lengths)
    added[taken] = -torch.inf
    found: list[int] = []
    for _ in range(count):
        best = (nearest + added).argmax()
        found.append(int(best))
        added[best] = -torch.inf
        nearest = torch.minimum(nearest, distances(best[None])[0])
    return found


def greatest_errors(errors: Tensor, chosen: Sequence[int], count: int) -> list[int]:
    """Choose the images with the greatest errors.

    Args:
        errors: (N,), floating point.
        chosen: Images that are chosen already; they are left out.
        count: How many to choose, at most those left.

    Returns:
        ``count`` indices, the greatest error first; of equals the first.

    Raises:
        ValueError: If fewer than ``count`` images are left.
    """
    _check_left(len(errors), chosen, count)
    left = errors.double()
    left[list(chosen)] = -torch.inf
    return left.argsort(descending=True, stable=True)[:count].tolist()


def depth_disagreement(student: Tensor, teacher: Tensor) -> Tensor:
    r"""How far a student's depth is from the teacher's.

    The mean over all pixels of :math:`|\log(1 + d_{student}) - \log(1 + d_{teacher})|`. Pixels
    around the sky (the teacher below 0.07 within a window of 7x7) and below 87 % of the height
    count as 0. So do pixels where the teacher has no depth.

    Args:
        student: Disparity, (N, 1, H, W), floating point, 0 (far) .. 1 (near).
        teacher: Same shape and range; 0 means no depth.

    Returns:
        (N,), not negative.

    Raises:
        ValueError: If the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f'student and teacher must have one shape, got {tuple(student.shape)} and '
            f'{tuple(teacher.shape)}'
        )
    far = (teacher < SMALLEST_DISPARITY).to(teacher.dtype)
    error = (student.log1p() - teacher.log1p()).abs()
    error = error * (1 - F.max_pool2d(far, WINDOW, stride=1, padding=WINDOW // 2))
    error[:, :, int(COMPARED_ROWS * error.shape[2]) :] = 0
    return error.mean(dim=(1, 2, 3))


def _check_left(images: int, chosen: Sequence[int], count: int) -> None:
    left = images - len(set(chosen))
    if count > left:
        raise ValueError(
            f'{count} more images are asked for, but of {images} only {left} are not chosen yet'
        )
