# Licensed under the Apache License 2.0, see LICENSE.
"""Mixtures beside the pixels that they were fitted to, and the density of whole images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.dataset import BaseDataset

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.adaptation.depth_mixtures import (
    DepthMixtures,
    GridMixtures,
    density_map,
    nearest_at_centers,
)
from mmseg_depthuda.datasets.depth_mixture_files import MixtureMeta
from mmseg_depthuda.visualization.panels import color_labels, draw_depths

from .class_samples import ClassSamples

AXES = ('column', 'row', 'inverse depth')
PAIRS = ((0, 1), (0, 2), (2, 1))  # horizontal, vertical
DEPTH_BINS = 48


def marginal_density(
    mixtures: DepthMixtures, index: int, axes: tuple[int, int], at: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Density of a class over two of the three axes, the third integrated out.

    Args:
        mixtures: The mixtures.
        index: The class.
        axes: Horizontal and vertical axis, 0..2.
        at: Places on each, (n,) and (m,).

    Returns:
        float64, (m, n).
    """
    weights, means, variances = (
        part[index].numpy() for part in (mixtures.weights, mixtures.means, mixtures.variances)
    )
    along, across = (
        np.exp(-0.5 * (places[:, None] - means[:, axis]) ** 2 / variances[:, axis])
        / np.sqrt(2 * np.pi * variances[:, axis])
        for axis, places in zip(axes, at, strict=True)
    )
    return (across * weights) @ along.T


def draw_mixtures(
    mixtures: DepthMixtures, drawn: ClassSamples, classes: Sequence[str], images: Sequence[dict]
) -> Figure:
    """Draw classes, and below them images.

    Of a class the pixels and the fitted density stand side by side, over column and row, column
    and inverse depth, inverse depth and row. Inverse depth reaches to the 99th percentile.

    Args:
        mixtures: The mixtures.
        drawn: Pixels of the same source.
        classes: Names of the classes to draw.
        images: Of :func:`density_of_image`, any number.

    Returns:
        The figure, which the caller saves.

    Raises:
        ValueError: If a class is unknown or has no pixels.
    """
    wrong = [
        name
        for name in classes
        if name not in drawn.classes or not len(drawn.samples[drawn.classes.index(name)])
    ]
    if wrong:
        raise ValueError(
            f'{", ".join(wrong)}: not a class with pixels. These are: '
            + ', '.join(n for n, s in zip(drawn.classes, drawn.samples, strict=True) if len(s))
        )
    figure = Figure(figsize=(13, 1.7 * (len(classes) + len(images))), layout='constrained')
    ratios = [len(classes), len(images)] if images else [1]
    parts = figure.subfigures(len(ratios), height_ratios=ratios, squeeze=False).ravel()
    for row, name in zip(parts[0].subplots(len(classes), 6, squeeze=False), classes, strict=True):
        for place, axes in enumerate(PAIRS):
            pair = row[2 * place], row[2 * place + 1]
            _draw_pair(pair, mixtures, drawn, drawn.classes.index(name), axes)
        row[0].set_title(f'{name}: pixels', fontsize=9, loc='left')
    if images:
        panels = parts[1].subplots(len(images), len(images[0]), squeeze=False)
        for row, image in zip(panels, images, strict=True):
            for panel, (title, picture) in zip(row, image.items(), strict=True):
                panel.imshow(picture, aspect='auto', interpolation='nearest')
                panel.set_axis_off()
                panel.set_title(title, fontsize=9)
    return figure


def _draw_pair(
    pair: tuple[Axes, Axes],
    mixtures: DepthMixtures,
    drawn: ClassSamples,
    index: int,
    axes: tuple[int, int],
) -> None:
    samples = drawn.samples[index]
    edges = [_edges(axis, drawn.grid, samples) for axis in axes]
    counts = np.histogram2d(samples[:, axes[0]], samples[:, axes[1]], bins=edges)[0].T
    centers = tuple((own[1:] + own[:-1]) / 2 for own in edges)
    density = marginal_density(mixtures, index, axes, (centers[0], centers[1]))
    for panel, values in zip(pair, (counts, density), strict=True):
        # The root shows what is thin, too.
        panel.pcolormesh(*edges, np.sqrt(values), cmap='viridis', rasterized=True)
        panel.tick_params(labelsize=6)
        if 1 in axes:
            panel.invert_yaxis()
        panel.set_xlabel(AXES[axes[0]], fontsize=7)
    pair[0].set_ylabel(AXES[axes[1]], fontsize=7)
    pair[0].set_title('pixels', fontsize=9, loc='left')
    pair[1].set_title('mixture', fontsize=9, loc='left')
    pair[1].set_yticks([])


def _edges(axis: int, grid: tuple[int, int], samples: np.ndarray) -> np.ndarray:
    if axis < 2:
        return np.arange(grid[1 - axis] + 1) - 0.5
    low, high = np.percentile(samples[:, 2], [1, 99])
    margin = 0.05 * (high - low) + 0.5
    return np.linspace(max(low - margin, 0), high + margin, DEPTH_BINS + 1)


def density_of_image(
    mixtures: DepthMixtures, meta: MixtureMeta, dataset: BaseDataset, index: int, scale: float
) -> dict[str, np.ndarray]:
    """An image, its depth and classes on the grid, and the density of its true classes.

    Args:
        mixtures: The mixtures.
        meta: What they were fitted on.
        dataset: The source, with labels and depth.
        index: Of the image.
        scale: As in :func:`~mmseg_depthuda.adaptation.depth_mixtures.density_map`.

    Returns:
        RGB pictures by title; density from 0, black, to 255, white, and black without label or
        depth.
    """
    packed = dataset[index]
    sample = packed['data_samples']
    label = nearest_at_centers(sample.gt_sem_seg.data, meta.grid).long()
    depth = nearest_at_centers(sample.gt_depth_map.data, meta.grid)
    known = (label < len(meta.classes)) & valid_depth(depth)
    density = GridMixtures(mixtures, meta.grid).density(label.where(known, 0), depth)
    shades = density_map(density, scale).masked_fill(~known, 0)[0].round().to(torch.uint8).numpy()
    palette = np.array(dataset.metainfo['palette'], dtype=np.uint8)
    return {
        'image': packed['inputs'].numpy()[::-1].transpose(1, 2, 0),
        'depth': draw_depths([depth[0]])[0],
        'classes': color_labels(label[0].numpy().astype(np.uint8), palette),
        'density': np.repeat(shades[..., None], 3, axis=2),
    }
