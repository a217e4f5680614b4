# Licensed under the Apache License 2.0, see LICENSE.
"""ClassMix and DepthMix of the same images, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from mmseg.models import SegDataPreProcessor
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.datasets import DomainsDataset, DomainsSampler
from mmseg_depthuda.engine.self_training import ClassMix, DepthMix
from mmseg_depthuda.structures import pack_pixel_data, stack_pixel_data
from mmseg_depthuda.visualization.panels import draw_depths, images_to_rgb

PASTED = np.array([255, 140, 0])
"""RGB of what is pasted."""


def draw_mixes(
    cfg: Config, paste: str = 'source', onto: str = 'target', images: int = 3, seed: int = 0
) -> Figure:
    """Draw images of two domains and both mixes of them.

    Two rows for each pair. Above: the image that is cut out, the one below, ClassMix, DepthMix.
    Below them: the inverse depth of the first two (bright is near), and the pasted pixels of the
    mixes (orange; the others are gray). Images are not augmented.

    Args:
        cfg: Config of a training that loads labels of ``paste``, and depth of both domains.
        paste: Domain that is cut out.
        onto: Domain below; may be the same.
        images: Pairs to draw.
        seed: Of the draws.

    Returns:
        The figure, which the caller saves.

    Raises:
        ValueError: A domain is unknown or lacks depth.
    """
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        preprocessor = MODELS.build(cfg.model.data_preprocessor)
    domains = getattr(dataset, 'domains', {})
    for domain in (paste, onto):
        if domain not in domains:
            raise ValueError(
                f'train_dataloader.dataset has no domain {domain!r}, but {list(domains)}.'
            )
    makers = dict(
        ClassMix=ClassMix(paste, onto, augment=False), DepthMix=DepthMix(paste, onto, augment=False)
    )
    makers['DepthMix'].check_data('DepthMix', domains)
    batch = _batch(dataset, preprocessor, max(images, 2), seed)
    torch.manual_seed(seed)
    mixes = {name: maker(name, batch, preprocessor) for name, maker in makers.items()}
    paths = [s.img_path for s in batch[onto]['data_samples']]
    columns = []
    for k in range(images):
        below = paths.index(mixes['DepthMix']['data_samples'][k].img_path[1])
        row = {
            'cut out': _image_and_depth(batch[paste], k, preprocessor),
            'below': _image_and_depth(batch[onto], below, preprocessor),
        }
        for name, mixed in mixes.items():
            row[name] = _image_and_pasted_pixels(mixed, k, preprocessor)
        columns.append(row)
    return _figure(columns)


def _batch(
    dataset: DomainsDataset, preprocessor: SegDataPreProcessor, images: int, seed: int
) -> dict[str, dict]:
    """A preprocessed batch; unlabeled images get labels that are ignored."""
    draws = zip(range(images), DomainsSampler(dataset, seed=seed), strict=False)
    batch = preprocessor(pseudo_collate([dataset[index] for _, index in draws]), training=True)
    for branch in batch.values():
        samples = branch['data_samples']
        if stack_pixel_data(samples, 'gt_sem_seg') is None:
            shape = (len(samples), 1, *branch['inputs'].shape[2:])
            pack_pixel_data(samples, dict(gt_sem_seg=torch.full(shape, 255)))
    return batch


def _image_and_depth(
    branch: Mapping, k: int, preprocessor: SegDataPreProcessor
) -> tuple[np.ndarray, np.ndarray]:
    image = images_to_rgb(branch['inputs'][k : k + 1], preprocessor)[0]
    return image, draw_depths([branch['data_samples'][k].gt_depth_map])[0]


def _image_and_pasted_pixels(
    mixed: Mapping, k: int, preprocessor: SegDataPreProcessor
) -> tuple[np.ndarray, np.ndarray]:
    image = images_to_rgb(mixed['inputs'][k : k + 1], preprocessor)[0]
    mask = mixed['data_samples'][k].mix_mask.data[0, :, :, None].numpy()
    gray = image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    return image, np.where(mask, 0.5 * gray + 0.5 * PASTED, gray).astype(np.uint8)


def _figure(rows: list[dict[str, tuple[np.ndarray, np.ndarray]]]) -> Figure:
    titles = list(rows[0])
    height, width = rows[0][titles[0]][0].shape[:2]
    size = (3 * len(titles), 2 * len(rows) * 3 * height / width + 0.3)
    figure = Figure(figsize=size, layout='constrained')
    axes = figure.subplots(2 * len(rows), len(titles), squeeze=False)
    for number, row in enumerate(rows):
        for column, (title, panels) in enumerate(row.items()):
            for ax, panel in zip(axes[2 * number : 2 * number + 2, column], panels, strict=True):
                ax.imshow(panel)
                ax.set_axis_off()
            if number == 0:
                axes[0, column].set_title(title, fontsize=10)
    return figure
