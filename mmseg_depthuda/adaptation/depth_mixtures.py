# Licensed under the Apache License 2.0, see LICENSE.
"""Depth distribution: one mixture of Gaussians per class over column, row and depth of a pixel.

Source of everything here: Wu and Liu, "Unsupervised Domain Adaptation for Semantic Segmentation
using Depth Distribution", NeurIPS 2022, and its release.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from .depth import valid_depth

PUBLISHED_SCALE = 1e6
READINGS = ('release', 'paper')
"""How a source pixel is looked up whose predicted class is wrong, see :func:`source_density`."""

# Finite, so that a class without a mixture has the density 0 and the gradient 0, and not NaN.
_LOG_OF_NOTHING = -1e30
_MOST_DEVIATIONS = 1e15  # its square is finite in float32


@dataclass(frozen=True)
class DepthMixtures:
    """The mixtures of C classes, K Gaussians of diagonal covariance each.

    The axes are x, the column of the grid, y, its row, both counted from 0, and z, the encoded
    inverse depth.

    Args:
        weights: (C, K) float64, not negative. The sum of a class is 1, or 0 for a class that has no
            mixture; a component that a class does not need has weight 0.
        means: (C, K, 3) float64.
        variances: (C, K, 3) float64, positive.

    Raises:
        ValueError: If shapes, dtypes or values are others; the message names the tensor, and the
            class where there is one.
    """

    weights: Tensor
    means: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        shape = self.weights.shape
        wanted = dict(weights=shape, means=(*shape, 3), variances=(*shape, 3))
        for field in fields(self):
            value = getattr(self, field.name)
            if len(shape) != 2 or value.shape != wanted[field.name] or value.dtype != torch.float64:
                raise ValueError(
                    f'{field.name} of mixtures must be float64, weights (C, K), means and '
                    f'variances (C, K, 3); got {value.dtype} of shape {tuple(value.shape)} beside '
                    f'weights of shape {tuple(shape)}'
                )
            if not value.isfinite().all():
                raise ValueError(f'{field.name} of mixtures must be finite')
        total = self.weights.sum(dim=1)
        wrong = (self.weights < 0).any(dim=1) | ~(((total - 1).abs() < 1e-6) | (total == 0))
        if wrong.any():
            raise ValueError(
                'weights of mixtures must be 0 or more and sum to 1, or be 0 for a class without '
                f'mixture; class {int(wrong.nonzero()[0])} has '
                f'{self.weights[int(wrong.nonzero()[0])].tolist()}'
            )
        if (self.variances <= 0).any():
            raise ValueError('variances of mixtures must be positive')


class GridMixtures:
    """Mixtures on the grid of one feature map.

    What a pixel's column and row contribute is tabulated once per device and dtype, 4 bytes for
    every pixel, class and component in float32 (5 MB at 161x96 with 16 classes).

    Args:
        mixtures: As fitted on this grid.
        grid: (height, width) of the feature map.

    Example:
        >>> one = torch.ones(1, 1, dtype=torch.float64)
        >>> mixtures = DepthMixtures(one, 0 * one.expand(1, 1, 3), one.expand(1, 1, 3))
        >>> density = GridMixtures(mixtures, (1, 2)).density(
        ...     torch.zeros(1, 1, 2, dtype=torch.int64), torch.zeros(1, 1, 2)
        ... )
        >>> density  # (2 pi) ** -1.5, and exp(-0.5) of it one column on
        tensor([[[0.0635, 0.0385]]])
    """

    def __init__(self, mixtures: DepthMixtures, grid: tuple[int, int]) -> None:
        if len(grid) != 2 or min(grid) < 1:
            raise ValueError(f'grid must be (height, width), got {grid}')
        self.mixtures = mixtures
        self.grid = (int(grid[0]), int(grid[1]))
        self._tables: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.mixtures.weights)

    def density(self, classes: Tensor, depth: Tensor) -> Tensor:
        r"""Density of each pixel under the mixture of its class.

        .. math:: p = \sum_j \pi_j \prod_{d \in \{x, y, z\}} N(X_d; \mu_{jd}, \sigma_{jd}^2)

        Args:
            classes: (N, h, w) int64, 0..C-1, on the grid.
            depth: (N, h, w), encoded inverse depth, floating point, any value.

        Returns:
            (N, h, w), 0 or more, float32 (float64 for float64 depth); 0 for a class without
            mixture. Gradients flow to ``depth``; they are finite for every finite depth.

        Raises:
            ValueError: If a shape or dtype is another one.
            IndexError: If a class has no entry (on CUDA, an assertion of the device).
        """
        shape = (*depth.shape[:1], *self.grid)
        if depth.shape != shape or classes.shape != shape or not depth.is_floating_point():
            raise ValueError(
                f'classes and depth must be (N, {self.grid[0]}, {self.grid[1]}), depth floating '
                f'point, got {classes.dtype} of shape {tuple(classes.shape)} and {depth.dtype} of '
                f'shape {tuple(depth.shape)}'
            )
        if classes.dtype != torch.int64:
            raise ValueError(f'classes must be int64, got {classes.dtype}')
        dtype = torch.promote_types(depth.dtype, torch.float32)
        constant, means, scales = self._table(depth.device, dtype)
        chosen = classes.reshape(-1)
        pixels = torch.arange(self.grid[0] * self.grid[1], device=depth.device)
        rows = (chosen.view(len(depth), len(pixels)) * len(pixels) + pixels).flatten()
        deviations = (depth.to(dtype).reshape(-1, 1) - means[chosen]) * scales[chosen]
        deviations = deviations.clamp(-_MOST_DEVIATIONS, _MOST_DEVIATIONS)
        exponents = constant[rows].addcmul(deviations, deviations, value=-0.5)
        return exponents.logsumexp(dim=1).exp().view(shape)

    def _table(self, device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
        """Logarithm of all but the depth, (C * h * w, K); mean and 1 / deviation of it, (C, K)."""
        key = (device, dtype)
        if key not in self._tables:
            mixtures = self.mixtures
            weights, means, variances = mixtures.weights, mixtures.means, mixtures.variances
            height, width = self.grid
            log_weight = weights.log().clamp(min=_LOG_OF_NOTHING)
            log_weight = log_weight - 0.5 * (2 * math.pi * variances).log().sum(dim=-1)
            axes = torch.arange(width).double(), torch.arange(height).double()
            of_x, of_y = (
                -0.5 * (axis[:, None] - means[:, None, :, d]) ** 2 / variances[:, None, :, d]
                for d, axis in enumerate(axes)
            )
            constant = log_weight[:, None, None] + of_y[:, :, None] + of_x[:, None]
            parts = constant.flatten(0, 2), means[..., 2], variances[..., 2].rsqrt()
            table, mean, scale = (part.to(device, dtype).contiguous() for part in parts)
            self._tables[key] = table, mean, scale
        return self._tables[key]


def density_map(density: Tensor, scale: float = PUBLISHED_SCALE) -> Tensor:
    """The exponential map of densities to 0..255, ``255 * (1 - exp(-scale * p))``.

    Args:
        density: Of :meth:`GridMixtures.density`, any shape, 0 or more.
        scale: A density of about ``1 / scale`` is in the middle. Defaults to the published 1e6,
            which fits a grid of 161x96; on one of fewer pixels every density is larger.

    Returns:
        Same shape and dtype, in 0..255.
    """
    return -255 * torch.expm1(-scale * density)


def nearest_at_centers(maps: Tensor, grid: tuple[int, int]) -> Tensor:
    """Sample maps at the pixels nearest to the centers of a grid, ``floor((i + 0.5) * scale)``.

    Args:
        maps: (..., H, W), any dtype.
        grid: (h, w).

    Returns:
        (..., h, w), same dtype.
    """
    rows, columns = (
        # Integers: no rounding decides which pixel it is.
        (2 * torch.arange(size, device=maps.device) + 1) * full // (2 * size)
        for size, full in zip(grid, maps.shape[-2:], strict=True)
    )
    return maps[..., rows[:, None], columns]


def source_density(
    mixtures: GridMixtures,
    predicted: Tensor,
    depth: Tensor,
    label: Tensor,
    reading: str = 'release',
    scale: float = PUBLISHED_SCALE,
) -> Tensor:
    """The density that a source image should be predicted to have.

    Args:
        mixtures: On the grid of the other arguments.
        predicted: Predicted classes, (N, h, w) int64.
        depth: True encoded inverse depth, (N, h, w); 0 where there is none.
        label: True classes, (N, h, w) int64, any other value where they are ignored.
        reading: ``'release'``: the predicted class at the true depth where the class is right,
            **at depth 0 elsewhere**, which is evaluated like any other depth. ``'paper'``: the
            predicted class at the true depth.
        scale: As in :func:`density_map`.

    Returns:
        (N, h, w) in 0..255, :func:`density_map` of the density.

    Raises:
        ValueError: If the reading is unknown or a shape is another one.
    """
    if reading not in READINGS:
        raise ValueError(f'reading must be one of {READINGS}, got {reading!r}')
    if reading == 'release':
        if label.shape != depth.shape:
            raise ValueError(
                f'label must have the shape of depth, {tuple(depth.shape)}, got '
                f'{tuple(label.shape)}'
            )
        depth = depth * (label == predicted)
    return density_map(mixtures.density(predicted, depth), scale)


def target_density(
    mixtures: GridMixtures, predicted: Tensor, depth: Tensor, scale: float = PUBLISHED_SCALE
) -> Tensor:
    """The density of a target image by what is predicted, 0 where the depth is not positive.

    Args:
        mixtures: On the grid of the other arguments.
        predicted: Predicted classes, (N, h, w) int64.
        depth: Predicted encoded inverse depth, (N, h, w), any value. The published training
            detaches it.
        scale: As in :func:`density_map`.

    Returns:
        (N, h, w) in 0..255, :func:`density_map` of the density.
    """
    density = density_map(mixtures.density(predicted, depth), scale)
    return density.masked_fill(~valid_depth(depth), 0)
