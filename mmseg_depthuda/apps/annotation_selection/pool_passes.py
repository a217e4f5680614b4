# Licensed under the Apache License 2.0, see LICENSE.
"""Passes of a network over a pool of images: its features, and what it gets wrong."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.utils import track_iter_progress
from mmseg.models import BaseSegmentor
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

from mmseg_depthuda.adaptation.selection import (
    CELLS,
    depth_disagreement,
    pooled_features,
)
from mmseg_depthuda.adaptation.self_information import mean_entropy
from mmseg_depthuda.fileio import atomic_write

_FLUSH_EVERY = 50  # images


def named_layer(model: nn.Module, name: str) -> nn.Module:
    """A layer by its name in ``model.named_modules()``.

    Raises:
        ValueError: There is none; the message has similar names.
    """
    layers = dict(model.named_modules())
    if name in layers and name:
        return layers[name]
    near = difflib.get_close_matches(name, layers, n=4, cutoff=0.3)
    raise ValueError(
        f'selection_network.layer={name!r}: {type(model).__name__} has no such layer. '
        f'Similar ones: {", ".join(near) or ", ".join(n for n, _ in model.named_children())}.'
    )


def pool_features(
    model: BaseSegmentor, layer: str, images: Subset, path: Path, workers: int
) -> Tensor:
    """Pool the features of a layer for each image, with a progress bar.

    They are written to a file as they come. A run that was stopped goes on after the last of them.

    Args:
        model: With its weights, in evaluation mode.
        layer: Name of a layer that returns one feature map, (1, C, h, w).
        images: Samples of a test pipeline.
        path: File for the features, ``.npy``.
        workers: Processes that read images.

    Returns:
        float32, (N, C, 4, 8), on the CPU.

    Raises:
        ValueError: The layer returns no feature map, features are not finite, or the file is
            damaged or of another pool.
    """
    stored = _open(path, len(images)) if path.exists() else None
    todo = list(range(len(images))) if stored is None else _missing(stored)
    found: list[Tensor] = []
    handle = named_layer(model, layer).register_forward_hook(
        lambda module, inputs, output: found.append(output)
    )
    try:
        results = _results(model, images, todo, workers)
        for done, i in enumerate(track_iter_progress(todo) if todo else (), 1):
            found.clear()
            sample = next(results)
            pooled = _pooled(found, layer, sample)
            if stored is None:
                stored = _create(path, (len(images), *pooled.shape))
            stored[i] = pooled
            if done % _FLUSH_EVERY == 0 or done == len(todo):
                stored.flush()
    finally:
        handle.remove()
    return torch.from_numpy(np.array(stored))


def _pooled(outputs: Sequence[Tensor], layer: str, sample: SegDataSample) -> np.ndarray:
    (output,) = outputs if len(outputs) == 1 else (None,)
    if not isinstance(output, Tensor) or output.ndim != 4:
        raise ValueError(
            f'selection_network.layer={layer!r} does not return one feature map (1, C, h, w) an '
            'image. Name a layer that does, such as a stage of the backbone or a convolution of '
            'the decoder.'
        )
    pooled = pooled_features(output.float())[0].cpu().numpy()
    if not np.isfinite(pooled).all():
        raise ValueError(
            f'{layer} gives features that are not finite for {sample.metainfo["img_path"]}: is the '
            'checkpoint sound?'
        )
    return pooled


def _create(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A file in which every image is still missing, NaN."""
    with atomic_write(path) as file:
        np.save(file, np.full(shape, np.nan, np.float32))
    return np.load(path, mmap_mode='r+')


def _open(path: Path, images: int) -> np.memmap:
    try:
        stored = np.load(path, mmap_mode='r+')
        fits = stored.dtype == np.float32 and stored.ndim == 4
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} is damaged ({error}). Delete it, and run again.') from error
    if not fits or (len(stored), *stored.shape[2:]) != (images, *CELLS):
        raise ValueError(f'{path} holds no features of {images} images. Delete it, and run again.')
    return stored


def _missing(stored: np.ndarray) -> list[int]:
    return np.flatnonzero(np.isnan(stored).any(axis=(1, 2, 3))).tolist()


def depth_errors(student: BaseSegmentor, images: Subset, workers: int) -> list[float]:
    """How far a student's depth is from the stored one, by image.

    Args:
        student: A :class:`SupervisedDepth`.
        images: Samples with ``gt_depth_map`` in 0..1, at the size of the network's input.
        workers: Processes that read images.

    Returns:
        :func:`~mmseg_depthuda.adaptation.selection.depth_disagreement` of each.

    Raises:
        ValueError: The student predicts NaN.
    """

    def error(sample: SegDataSample) -> Tensor:
        teacher = sample.gt_depth_map.data[None]
        return depth_disagreement(sample.pred_depth_map.data[None], teacher)[0]

    return _scores(student, images, error, workers)


def entropies(student: BaseSegmentor, images: Subset, workers: int) -> list[float]:
    """How unsure a segmentor is, by image.

    Args:
        student: A segmentor of MMSeg.
        images: Samples of a test pipeline.
        workers: Processes that read images.

    Returns:
        Entropy in 0..1, averaged over the pixels of each.

    Raises:
        ValueError: The student predicts NaN.
    """

    def entropy(sample: SegDataSample) -> Tensor:
        return mean_entropy(sample.seg_logits.data[None])

    return _scores(student, images, entropy, workers)


def _scores(
    model: BaseSegmentor, images: Subset, score: Callable[[SegDataSample], Tensor], workers: int
) -> list[float]:
    scores: list[float] = []
    results = _results(model, images, range(len(images)), workers)
    for _ in track_iter_progress(range(len(images))):
        sample = next(results)
        value = float(score(sample))
        if not np.isfinite(value):
            raise ValueError(
                f'The student predicts NaN for {sample.metainfo["img_path"]}: its training has '
                'diverged.'
            )
        scores.append(value)
    return scores


def _results(
    model: BaseSegmentor, images: Subset, indices: Sequence[int], workers: int
) -> Iterator[SegDataSample]:
    """Predictions at the size of the network's input, one image after the other."""
    loader: DataLoader = DataLoader(
        Subset(images, indices), batch_size=1, num_workers=workers, collate_fn=pseudo_collate
    )
    for batch in loader:
        sample: SegDataSample = batch['data_samples'][0]
        # MMSeg and SupervisedDepth would resize to the size of the file.
        shape = sample.metainfo['img_shape'][:2]
        sample.set_metainfo(dict(ori_shape=shape, img_padding_size=(0, 0, 0, 0)))
        with torch.no_grad():
            yield model.test_step(batch)[0]
