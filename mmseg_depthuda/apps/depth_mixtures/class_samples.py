# Licensed under the Apache License 2.0, see LICENSE.
"""Samples of every class on the feature grid of a training: column, row and depth of a pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmseg.registry import MODELS
from torch.nn import functional as F

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH, valid_depth
from mmseg_depthuda.adaptation.depth_mixtures import nearest_at_centers
from mmseg_depthuda.datasets.depth_mixture_files import depth_encoding
from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX
from mmseg_depthuda.datasets.seeding import seeded
from mmseg_depthuda.fileio import map_in_processes


@dataclass
class ClassSamples:
    """What was drawn from a dataset.

    Attributes:
        classes: Names of the C classes.
        grid: (height, width).
        encoding: Encoding of the depth.
        pixels: Labeled pixels of the grid per class, drawn or not, with or without depth.
        samples: Per class, float64 (n, 3): column, row, encoded depth, in a random order.
    """

    classes: tuple[str, ...]
    grid: tuple[int, int]
    encoding: str
    pixels: list[int]
    samples: list[np.ndarray]


class _GridPixels(NamedTuple):
    """Labeled pixels of one image with depth, one entry each."""

    counts: np.ndarray  # per class, also of those without depth
    label: np.ndarray
    samples: np.ndarray
    keys: np.ndarray  # uniform: the pixels with the smallest keys are a random choice


def feature_grid(model: Mapping[str, Any], packed: Mapping[str, Any]) -> tuple[int, int]:
    """Size of the feature map on which the head of a model predicts.

    Only shapes are computed.

    Args:
        model: Config of a segmentor.
        packed: Packed sample of its training dataset.

    Returns:
        (height, width) of the features that ``decode_head.in_index`` names; of several, of the
        largest.
    """
    size = _preprocessed_size(model, packed)
    features = torch.empty(1, 3, *size, device='meta')
    for part in ('backbone', 'neck'):
        if model.get(part) is not None:
            module = MODELS.build(model[part]).to('meta')
            module.eval()  # returns None in MMSeg's ResNet
            with torch.no_grad():
                features = module(features)
    head = model['decode_head']
    indices = (head[-1] if isinstance(head, list) else head).get('in_index', -1)
    chosen = [features[i] for i in ([indices] if isinstance(indices, int) else indices)]
    height, width = max((tuple(feature.shape[-2:]) for feature in chosen), key=lambda s: s[0])
    return height, width


def _preprocessed_size(model: Mapping[str, Any], packed: Mapping[str, Any]) -> tuple[int, int]:
    """Height and width of an image in training, padding included."""
    config = model.get('data_preprocessor')
    if config is None:
        return tuple(packed['inputs'].shape[-2:])
    batch = dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    return tuple(MODELS.build(config)(batch, training=True)['inputs'].shape[-2:])


def draw_class_samples(
    dataset: BaseDataset,
    model: Mapping[str, Any],
    *,
    cap: int = 100_000,
    seed: int = 0,
    workers: int = 1,
    images: int | None = None,
) -> ClassSamples:
    """Draw pixels of every class from the images of a dataset, with a progress bar.

    Labels and depth go through the pipeline of the dataset and are sampled at the centers of the
    feature grid. Of a class with more pixels than the cap a random choice is kept, the same for any
    number of workers. Pixels without depth (``INVALID_DEPTH``) are counted and not drawn.

    Args:
        dataset: With labels and depth.
        model: Config of the segmentor, which decides the grid.
        cap: Most samples of a class.
        seed: Of the choice, and of random transforms.
        workers: Processes.
        images: Read this many images, spread evenly over the dataset. Defaults to None: all.

    Returns:
        The samples.

    Raises:
        ValueError: If the dataset has no labels or no depth, or its images differ in size after
            its pipeline.
    """
    encoding = depth_encoding(dataset)
    classes = tuple(dataset.metainfo['classes'])
    count = len(dataset) if images is None else min(images, len(dataset))
    chosen = np.linspace(0, len(dataset) - 1, count).round().astype(int).tolist()
    items = [(i, dataset.get_data_info(i)) for i in chosen]
    if 'seg_map_path' not in items[0][1]:
        raise ValueError('The dataset has no labels. Set its data_prefix.seg_map_path.')
    first = _first_packed(items, dataset.pipeline, seed)
    grid = feature_grid(model, first)
    read = partial(
        _pixels_of_image,
        pipeline=dataset.pipeline,
        size=tuple(first['inputs'].shape[-2:]),
        padded=_preprocessed_size(model, first),
        grid=grid,
        num_classes=len(classes),
        seed=seed,
    )
    pixels = np.zeros(len(classes), dtype=np.int64)
    drawn = [_SmallestKeys(cap) for _ in classes]
    with closing(map_in_processes(read, items, workers, 'images')) as results:
        for found in results:
            if found is None:
                continue
            pixels += found.counts
            for index in np.unique(found.label):
                own = found.label == index
                drawn[index].add(found.samples[own], found.keys[own])
    return ClassSamples(
        classes, grid, encoding, pixels.tolist(), [own.samples().astype(float) for own in drawn]
    )


def _first_packed(items: Sequence[tuple[int, dict]], pipeline: Callable, seed: int) -> dict:
    for item in items:
        packed = _packed(item, pipeline, seed)
        if packed is not None:
            return packed
    raise ValueError('The pipeline of the dataset skips every image.')


def _packed(item: tuple[int, dict], pipeline: Callable, seed: int) -> dict | None:
    index, info = item
    with seeded(int(np.random.SeedSequence([seed, index]).generate_state(1)[0])):
        return pipeline(dict(info, seg_fields=[]))


def _pixels_of_image(
    item: tuple[int, dict],
    *,
    pipeline: Callable,
    size: tuple[int, int],
    padded: tuple[int, int],
    grid: tuple[int, int],
    num_classes: int,
    seed: int,
) -> _GridPixels | None:
    packed = _packed(item, pipeline, seed)
    if packed is None:  # LoadLabels(on_size_mismatch='skip')
        return None
    found = tuple(packed['inputs'].shape[-2:])
    if found != size:
        raise ValueError(
            f'img_path: {item[1]["img_path"]} is {found[1]}x{found[0]} after the pipeline, the '
            f'first image {size[1]}x{size[0]}: mixtures are fitted on one grid. Let a Resize of '
            'the pipeline give all images one size.'
        )
    sample, edge = packed['data_samples'], (0, padded[1] - size[1], 0, padded[0] - size[0])
    maps = (
        F.pad(sample.gt_sem_seg.data[0], edge, value=IGNORE_INDEX),
        F.pad(sample.gt_depth_map.data[0], edge, value=INVALID_DEPTH),
    )
    label, depth = (nearest_at_centers(m, grid).numpy().ravel() for m in maps)
    keys = np.random.default_rng([seed, item[0]]).random(label.size)
    rows, columns = np.divmod(np.arange(label.size), grid[1])
    known = (label < num_classes) & valid_depth(depth)
    samples = np.stack([columns, rows, depth], axis=1).astype(np.float32)[known]
    counts = np.bincount(label, minlength=num_classes)[:num_classes]
    return _GridPixels(counts, label[known], samples, keys[known])


class _SmallestKeys:
    """The samples with the ``cap`` smallest keys of all that were added."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.kept: list[tuple[np.ndarray, np.ndarray]] = []
        self.size = 0

    def add(self, samples: np.ndarray, keys: np.ndarray) -> None:
        self.kept.append((samples, keys))
        self.size += len(keys)
        if self.size > 4 * self.cap:
            self._shrink()

    def _shrink(self) -> None:
        samples, keys = (np.concatenate(parts) for parts in zip(*self.kept, strict=True))
        order = np.argsort(keys)[: self.cap]
        self.kept, self.size = [(samples[order], keys[order])], len(order)

    def samples(self) -> np.ndarray:
        if not self.kept:
            return np.empty((0, 3), dtype=np.float32)
        self._shrink()
        return self.kept[0][0]
