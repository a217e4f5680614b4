# Licensed under the Apache License 2.0, see LICENSE.
"""Time of depth distribution's density and spatial prior, beside plain loops over the pixels."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures, GridMixtures, density_map
from mmseg_depthuda.adaptation.spatial_prior import IGNORED, keep_large_components

T = TypeVar('T')


class Timing(NamedTuple):
    """Time of one way to compute something.

    Attributes:
        name: What is computed, and how.
        seconds: CPU time, median of the repetitions.
        factor: How many times faster than the first way.
    """

    name: str
    seconds: float
    factor: float


def random_mixtures(
    num_classes: int, components: int, grid: tuple[int, int], seed: int = 0
) -> DepthMixtures:
    """Mixtures as wide as those of a street: any class anywhere, depth as DADA encodes it."""
    rng = np.random.default_rng(seed)
    shape = num_classes, components
    scale = np.array([grid[1], grid[0], 200.0])
    return DepthMixtures(
        torch.from_numpy(rng.dirichlet(np.ones(components), num_classes)),
        torch.from_numpy(rng.uniform(0, scale, (*shape, 3))),
        torch.from_numpy(rng.uniform(0.05, 0.25, (*shape, 3)) ** 2 * scale**2),
    )


def pixel_by_pixel(mixtures: DepthMixtures, depth: np.ndarray) -> np.ndarray:
    """Density of every pixel under every class as the release computes it, one after the other.

    Args:
        mixtures: C classes.
        depth: Encoded depth, (h, w).

    Returns:
        float64, (C, h, w).
    """
    density = np.zeros((len(mixtures.weights), *depth.shape))
    for c, (weights, means, variances) in enumerate(
        zip(
            mixtures.weights.numpy(),
            mixtures.means.numpy(),
            mixtures.variances.numpy(),
            strict=True,
        )
    ):
        factors = weights / np.sqrt((2 * np.pi * variances).prod(axis=1))
        for y, x in np.ndindex(depth.shape):
            squares = (np.array([x, y, depth[y, x]]) - means) ** 2 / variances
            density[c, y, x] = (factors * np.exp(-0.5 * squares.sum(axis=1))).sum()
    return density


def plain_search(label: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Algorithm 1 of the paper as it is written: a breadth-first search from pixel to pixel.

    Args:
        label: (H, W) uint8, 255 where nothing is confident.
        thresholds: Pixels that a component of each class needs.

    Returns:
        (H, W) uint8, 255 where the component is smaller.
    """
    height, width = label.shape
    values, reached = label.tolist(), (label == IGNORED).tolist()
    kept = np.full_like(label, IGNORED)
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    for start in np.ndindex(height, width):
        if reached[start[0]][start[1]]:
            continue
        own = values[start[0]][start[1]]
        reached[start[0]][start[1]] = True
        found, waiting = [start], deque([start])
        while waiting:
            y, x = waiting.popleft()
            for dy, dx in around:
                ny, nx = y + dy, x + dx
                if not (0 <= ny < height and 0 <= nx < width) or reached[ny][nx]:
                    continue
                if values[ny][nx] == own:
                    reached[ny][nx] = True
                    found.append((ny, nx))
                    waiting.append((ny, nx))
        if len(found) >= thresholds[own]:
            kept[tuple(np.transpose(found))] = own
    return kept


def benchmark_density(
    grid: tuple[int, int] = (96, 161), num_classes: int = 16, components: int = 5, repeats: int = 21
) -> list[Timing]:
    """Time the density map of one image.

    Args:
        grid: (height, width).
        num_classes: C.
        components: K.
        repeats: Repetitions of all but the pixel-by-pixel way.

    Returns:
        Pixel by pixel for all classes; vectorized for all classes; the predicted class alone, which
        training needs.

    Raises:
        ArithmeticError: If the ways do not give the same map, to 0.05 of 255.
    """
    mixtures = random_mixtures(num_classes, components, grid)
    generator = torch.Generator().manual_seed(0)
    predicted = torch.randint(num_classes, (1, *grid), generator=generator)
    depth = 200 * torch.rand(1, *grid, generator=generator)
    on_grid = GridMixtures(mixtures, grid)
    every = torch.arange(num_classes)[:, None, None].expand(-1, *grid)
    depths = depth.expand(num_classes, -1, -1)
    slow, plain = _timed(lambda: pixel_by_pixel(mixtures, depth[0].double().numpy()), 1)
    whole, _ = _timed(lambda: density_map(on_grid.density(every, depths)), repeats)
    fast, found = _timed(lambda: density_map(on_grid.density(predicted, depth)), repeats)
    expected = density_map(torch.from_numpy(plain)).gather(0, predicted)
    if not torch.allclose(found.double(), expected, rtol=0, atol=0.05):
        raise ArithmeticError('the density of the predicted class is not that of the plain loop')
    return [
        Timing('density, all classes, pixel by pixel', slow, 1),
        Timing('density, all classes, vectorized', whole, slow / whole),
        Timing('density, predicted class', fast, slow / fast),
    ]


def benchmark_spatial_prior(
    size: tuple[int, int] = (760, 1280), num_classes: int = 16, repeats: int = 5
) -> list[Timing]:
    """Time the refinement of one pseudo-label map of blobs and specks.

    Args:
        size: (height, width).
        num_classes: C.
        repeats: Repetitions of the fast way.

    Returns:
        Plain search; OpenCV's components.

    Raises:
        ArithmeticError: If they do not keep the same pixels.
    """
    rng = np.random.default_rng(0)
    coarse = rng.integers(num_classes, size=(size[0] // 40 + 1, size[1] // 40 + 1), dtype=np.uint8)
    label = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_NEAREST)
    label[rng.random(size) < 0.1] = IGNORED
    specks = rng.random(size) < 0.02
    label[specks] = rng.integers(num_classes, size=int(specks.sum()))
    thresholds = rng.uniform(50, 5000, num_classes).tolist()
    slow, expected = _timed(lambda: plain_search(label, thresholds), 1)
    fast, found = _timed(lambda: keep_large_components(label, thresholds), repeats)
    if not np.array_equal(found, expected):
        raise ArithmeticError('the components are not those of the plain search')
    return [
        Timing('spatial prior, breadth-first search', slow, 1),
        Timing('spatial prior, connected components', fast, slow / fast),
    ]


def _timed(work: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median CPU seconds of some repetitions after a first one, and the result."""
    if repeats > 1:
        work()  # makes the table
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result
