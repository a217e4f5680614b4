# Licensed under the Apache License 2.0, see LICENSE.
"""Pseudo-labels of a dataset, one 8-bit PNG an image, with the counts of each in the file itself.

Every file appears under its name when it is complete, and carries how many pixels of each class
were predicted and how many were kept. So a run can be stopped and shared among machines, and
whoever finds the folder complete sums it up.
"""

from __future__ import annotations

import io
import json
import logging
import os.path as osp
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmseg.models import BaseSegmentor
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch.utils.data import DataLoader, Subset

from mmseg_depthuda.adaptation.pseudo_labels import pseudo_labels
from mmseg_depthuda.adaptation.spatial_prior import (
    IGNORED,
    confident_labels,
    keep_large_components,
)
from mmseg_depthuda.apps.checked_model import load_checked_model
from mmseg_depthuda.apps.folder_settings import checkpoint_digest, claim_folder, text_digest
from mmseg_depthuda.datasets import target_dataset_config
from mmseg_depthuda.datasets.depth_dataset import DepthSegDataset
from mmseg_depthuda.fileio import atomic_write
from mmseg_depthuda.visualization.panels import color_labels

from .prior_files import read_component_thresholds

RECORD = 'pseudo_labels.json'
LIST = 'images.txt'
PICTURE = 'pseudo_labels.jpg'
_COUNTS = 'mmseg_depthuda.counts'  # text chunk of a PNG
_PICTURES = 4


@dataclass(frozen=True)
class Refinement:
    """How predictions become pseudo-labels.

    Attributes:
        threshold: Smallest softmax of a pixel that is kept.
        components: Smallest component of each class in pixels; None: any size.
    """

    threshold: float = 0.9
    components: tuple[float, ...] | None = None

    def __call__(self, label: np.ndarray, confidence: np.ndarray) -> np.ndarray:
        """Refine one map, (H, W) uint8, by its confidence, (H, W)."""
        confident = confident_labels(label, confidence, self.threshold)
        if self.components is None:
            return confident
        return keep_large_components(confident, self.components)


@dataclass(frozen=True)
class WrittenLabels:
    """What a call of :func:`write_pseudo_labels` leaves.

    Attributes:
        written: Images labeled now.
        skipped: Images of the shard that had a file.
        missing: Images of the whole dataset that have no file yet, of other shards.
        classes: Names.
        components: Smallest component of each class in pixels, empty without spatial prior.
        predicted: Pixels per class before the refinement, in all files; empty while some are
            missing.
        kept: And after it.
        empty: Images without a kept pixel.
    """

    written: int
    skipped: int
    missing: int
    classes: tuple[str, ...]
    components: tuple[float, ...] = ()
    predicted: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    empty: tuple[str, ...] = ()


def write_pseudo_labels(
    cfg: Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    device: str = 'cpu',
    threshold: float = 0.9,
    prior: str | Path | None = None,
    base: float = 50,
    spread: float = 4950,
    shard: tuple[int, int] = (1, 1),
    workers: int = 0,
) -> WrittenLabels:
    """Label the target of a config, with a progress bar.

    Images go through the test pipeline; labels have the size of the network's input, 255 where
    they are refined away and in the padding of ``ResizeAndPad``. ``OUT/STEM.png`` belongs to the
    image ``STEM + img_suffix``. When the last file is there, ``OUT/images.txt`` lists the images
    with a kept pixel, and ``OUT/pseudo_labels.jpg`` shows some before and after.

    Args:
        cfg: Config of any segmentor of this package whose training dataset has a target.
        checkpoint: Its checkpoint.
        out: Folder to write to. Files that exist are kept, if they were written with the same
            settings.
        device: ``'cpu'``, ``'cuda'``...
        threshold: Smallest softmax to keep, in 0..1.
        prior: File of :func:`~.prior_files.read_component_thresholds`. Defaults to None: components
            of any size are kept.
        base: N0 of the thresholds.
        spread: N1 of the thresholds.
        shard: (K, N): every N-th image, from the K-th (from 1) on.
        workers: Processes that read images.

    Returns:
        What was done, and the counts if the folder is complete.

    Raises:
        FileNotFoundError: If the config, a folder or a file is missing.
        ValueError: If an argument is outside its range, the folder holds labels of other settings
            or a damaged file, the dataset is none of this package, the checkpoint is another
            model's, or the network predicts NaN.
    """
    out = Path(out)
    number, shards = shard
    if not 0 <= threshold <= 1:
        raise ValueError(f'--threshold must be in 0..1, got {threshold}')
    if not 1 <= number <= shards:
        raise ValueError(f'--shard K/N must have K in 1..N, got {number}/{shards}')
    dataset = _target(cfg)
    stems = _stems(dataset)
    paths = [out / f'{stem}.png' for stem in stems]
    model = load_checked_model(cfg, checkpoint, device)
    classes = tuple(model.dataset_meta['classes'])
    if model.decode_head.out_channels == 1:
        raise ValueError(
            'Pseudo-labels need one logit per class, but the head has out_channels=1: leave '
            'model.decode_head.out_channels unset (two classes then have two logits).'
        )
    components = None
    if prior is not None:
        components = tuple(read_component_thresholds(prior, classes, base, spread))
    refine = Refinement(threshold, components)
    settings = _settings(checkpoint, classes, refine, stems)
    claim_folder(out / RECORD, settings, 'pseudo-labels', '**/*.png')
    own = range(number - 1, len(stems), shards)
    todo = [i for i in own if not paths[i].exists()]
    predicted = _predictions(model, dataset, todo, workers)
    for i in track_iter_progress(todo) if todo else ():
        label, confidence = next(predicted)
        _write_label(paths[i], label, refine(label, confidence), len(classes))
    missing = [path for path in paths if not path.exists()]
    found = WrittenLabels(len(todo), len(own) - len(todo), len(missing), classes, components or ())
    if missing:
        return found
    return _sum_up(found, out, stems, paths, lambda i: _panels(model, dataset, i, refine))


def _target(cfg: Config) -> DepthSegDataset:
    """The target of a config with the pipeline of its test."""
    config = dict(target_dataset_config(cfg))
    config['pipeline'] = cfg.test_dataloader.dataset.pipeline
    prefix = dict(config.get('data_prefix') or {})
    # None of these is looked at.
    config['data_prefix'] = {
        key: folder for key, folder in prefix.items() if key != 'pseudo_label_path'
    } | dict(seg_map_path=None, depth_map_path=None)
    config.pop('per_draw', None)
    if 'depth' in config:
        config['depth'] = None
    dataset = DATASETS.build(config)
    if not isinstance(dataset, DepthSegDataset):
        raise ValueError(
            f'The target is a {type(dataset).__name__}: take a dataset of this package, such as '
            "FolderDepthDataset(data_prefix=dict(img_path=...)), whose files' names are known."
        )
    return dataset


def _stems(dataset: DepthSegDataset) -> list[str]:
    """Paths without suffix of the images of a dataset, which may be a part of those listed."""
    root = dataset.data_prefix['img_path']
    by_path = {osp.join(root, name): stem for stem, name in dataset.list_images().items()}
    return [by_path[dataset.get_data_info(i)['img_path']] for i in range(len(dataset))]


def _settings(
    checkpoint: str | Path, classes: Sequence[str], refine: Refinement, stems: Sequence[str]
) -> dict[str, Any]:
    """What must be equal for all files of a folder."""
    return dict(
        checkpoint=checkpoint_digest(checkpoint),
        classes=list(classes),
        threshold=refine.threshold,
        components=None if refine.components is None else list(refine.components),
        images=text_digest('\n'.join(stems)),
    )


def _predictions(
    model: BaseSegmentor, dataset: DepthSegDataset, indices: Sequence[int], workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Class and confidence of each image at the network's input size, uint8 and float, (H, W)."""
    loader: DataLoader = DataLoader(
        Subset(dataset, indices), batch_size=1, num_workers=workers, collate_fn=pseudo_collate
    )
    for batch in loader:
        sample: SegDataSample = batch['data_samples'][0]
        height, width = sample.metainfo['img_shape'][:2]
        _, right, _, bottom = sample.metainfo.get('img_padding_size', (0, 0, 0, 0))
        # MMSeg would resize to the size of the file.
        sample.set_metainfo(dict(ori_shape=(height, width), img_padding_size=(0, 0, 0, 0)))
        with torch.no_grad():
            result = model.test_step(batch)[0]
        found, confidence = pseudo_labels(result.seg_logits.data[None])
        if not confidence.isfinite().all():
            raise ValueError(
                f'The network predicts NaN for {sample.metainfo["img_path"]}: is the checkpoint '
                'sound?'
            )
        label = found[0].to(torch.uint8).cpu().numpy()
        label[height - bottom :] = IGNORED
        label[:, width - right :] = IGNORED
        yield label, confidence[0].cpu().numpy()


def _count(label: np.ndarray, num_classes: int) -> list[int]:
    return np.bincount(label.ravel(), minlength=IGNORED + 1)[:num_classes].tolist()


def _write_label(path: Path, predicted: np.ndarray, kept: np.ndarray, num_classes: int) -> None:
    counts = dict(predicted=_count(predicted, num_classes), kept=_count(kept, num_classes))
    if not any(counts['kept']):
        print_log(f'{path}: no pixel is kept of this image', 'current', logging.WARNING)
    text = PngInfo()
    text.add_text(_COUNTS, json.dumps(counts))
    buffer = io.BytesIO()
    Image.fromarray(kept).save(buffer, 'png', pnginfo=text)
    with atomic_write(path, durable=False) as file:
        file.write(buffer.getvalue())


def _read_counts(path: Path) -> dict[str, list[int]]:
    try:
        with Image.open(path) as image:
            return json.loads(image.info[_COUNTS])
    except (AttributeError, KeyError, OSError, ValueError) as error:
        raise ValueError(
            f'{path} is damaged, or no file of write_pseudo_labels.py '
            f'({type(error).__name__}: {error}). Delete it, and run again.'
        ) from error


def _sum_up(
    found: WrittenLabels,
    out: Path,
    stems: Sequence[str],
    paths: Sequence[Path],
    panels: Callable[[int], np.ndarray],
) -> WrittenLabels:
    """Counts, list and picture of a complete folder."""
    counts = [_read_counts(path) for path in paths]
    used = [stem for stem, own in zip(stems, counts, strict=True) if any(own['kept'])]
    with atomic_write(out / LIST) as file:
        file.write(''.join(f'{stem}\n' for stem in used).encode())
    if not (out / PICTURE).exists() or found.written:
        chosen = np.linspace(0, len(stems) - 1, min(_PICTURES, len(stems))).round().astype(int)
        picture = np.vstack([panels(int(i)) for i in chosen])
        with atomic_write(out / PICTURE) as file:
            file.write(cv2.imencode('.jpg', picture[..., ::-1])[1].tobytes())
    predicted, kept = (
        tuple(np.sum([own[name] for own in counts], axis=0).tolist())
        for name in ('predicted', 'kept')
    )
    empty = tuple(sorted(set(stems) - set(used)))
    return replace(found, predicted=predicted, kept=kept, empty=empty)


def _panels(
    model: BaseSegmentor, dataset: DepthSegDataset, i: int, refine: Refinement
) -> np.ndarray:
    """An image, its prediction, the confident part of it and what is kept, side by side, RGB."""
    label, confidence = next(_predictions(model, dataset, [i], 0))
    maps = label, confident_labels(label, confidence, refine.threshold), refine(label, confidence)
    palette = np.array(model.dataset_meta['palette'], dtype=np.uint8)
    image = dataset[i]['inputs'].numpy().transpose(1, 2, 0)[..., ::-1]
    row = [image, *(color_labels(own, palette) for own in maps)]
    height = max(1, round(320 * label.shape[0] / label.shape[1]))
    size = 320, height
    return np.hstack([cv2.resize(p, size, interpolation=cv2.INTER_NEAREST) for p in row])
