# Licensed under the Apache License 2.0, see LICENSE.
"""Class frequencies of a dataset, and rare-class sampling from them."""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from scipy.special import softmax

from mmseg_depthuda.fileio import atomic_write, map_in_processes

from .domains import DOMAIN_OPTIONS
from .label_protocols import IGNORE_INDEX
from .transforms import read_labels


def count_classes(dataset: BaseDataset, num_workers: int = 1) -> np.ndarray:
    """Count the pixels of every class in every label file of a dataset, with a progress bar.

    Args:
        dataset: One of this package's datasets, with labels.
        num_workers: Processes.

    Returns:
        int64, (number of images, number of classes). Ignored pixels are not counted.

    Raises:
        ValueError: If the dataset has no labels, or as :func:`read_labels`.
    """
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    if 'seg_map_path' not in infos[0]:
        raise ValueError('The dataset has no labels to count. Set its data_prefix.seg_map_path.')
    count = partial(
        _count_file, label_map=infos[0]['label_map'], num_classes=len(dataset.metainfo['classes'])
    )
    paths = [info['seg_map_path'] for info in infos]
    with closing(map_in_processes(count, paths, num_workers, 'label files')) as counts:
        return np.array(list(counts))


def _count_file(path: str, label_map: dict[int, int], num_classes: int) -> np.ndarray:
    return count_pixels(read_labels(path, label_map), num_classes)


def count_pixels(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Count the pixels of every class.

    Args:
        labels: Train indices, uint8, (H, W); 255 = ignore.
        num_classes: Number of classes.

    Returns:
        int64, (num_classes,).
    """
    return np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)[:num_classes]


def balanced_class_weights(pixels: Sequence[float], classes: Sequence[str]) -> np.ndarray:
    """Weights of a cross entropy in which all classes count alike, ``N / (C * n_c)``.

    ``n_c`` are the pixels of class ``c``, ``N`` their sum over the ``C`` classes: averaged over the
    pixels the weights are 1.

    Args:
        pixels: Pixels of each class, or its share of them.
        classes: Names of the classes.

    Returns:
        float64, (C,), positive.

    Raises:
        ValueError: If a class has no pixel, which has no finite weight.

    Source:
        The releases of CTRL, CVPR 2021, and of depth distribution, NeurIPS 2022.

    Example:
        >>> balanced_class_weights([30, 10], ['road', 'pole'])
        array([0.66666667, 2.        ])
    """
    counts = np.asarray(pixels, dtype=np.float64)
    absent = [name for name, count in zip(classes, counts, strict=True) if count <= 0]
    if absent:
        raise ValueError(
            f'no image has a pixel of {", ".join(absent)}: the weight would be infinite. Take more '
            'images, or a `protocol` without these classes.'
        )
    return counts.sum() / (len(counts) * counts)


def write_class_weights(statistics: str | Path, path: str | Path) -> None:
    """Write the :func:`balanced_class_weights` of a file of class statistics.

    The file is what MMSeg's ``CrossEntropyLoss(class_weight='FILE.json')`` reads: a list.

    Args:
        statistics: File of :func:`write_class_statistics`.
        path: JSON file to write.

    Raises:
        ValueError: As :func:`balanced_class_weights`.
    """
    content = json.loads(Path(statistics).read_text())
    counts = np.array(list(content['pixels'].values()), dtype=np.int64).sum(axis=0)
    weights = balanced_class_weights(counts, content['classes'])
    with atomic_write(path) as file:
        file.write(json.dumps([round(weight, 6) for weight in weights.tolist()]).encode())


def write_class_statistics(dataset: BaseDataset, path: str | Path, num_workers: int = 1) -> None:
    """Write the per-image class pixel counts that :class:`RareClassSampling` reads.

    The JSON file holds ``classes`` (names) and ``pixels`` (image path below ``img_path`` -> one
    count per class).
    """
    counts = count_classes(dataset, num_workers)
    pixels = dict(zip(_image_names(dataset), counts.tolist(), strict=True))
    save_class_statistics(path, dataset.metainfo['classes'], pixels)


def save_class_statistics(
    path: str | Path, classes: Sequence[str], pixels: Mapping[str, Sequence[int]]
) -> None:
    """Write counts that are already known. The file takes its name only when it is complete.

    Args:
        path: JSON file to write.
        classes: Class names.
        pixels: Image path below ``img_path`` -> number of pixels of every class.
    """
    content = dict(classes=list(classes), pixels=dict(pixels))
    with atomic_write(path) as file:
        file.write(json.dumps(content).encode())


def _image_names(dataset: BaseDataset) -> list[str]:
    root = Path(dataset.data_prefix['img_path'])
    return [
        Path(dataset.get_data_info(i)['img_path']).relative_to(root).as_posix()
        for i in range(len(dataset))
    ]


class RareClassSampling:
    """Rare-class sampling (Hoyer et al., "DAFormer", CVPR 2022, eqs. 5 and 6).

    A class is drawn with probability ``P(c) = exp((1 - f_c) / T) / sum_c' exp((1 - f_c') / T)``,
    where ``f_c`` is the share of the class in all labeled pixels; then an image that shows it,
    uniformly. Classes that no image shows are never drawn; those that occur and are excluded by
    ``min_pixels`` are named in a warning.

    Args:
        dataset: The dataset to draw from.
        class_statistics: File written by ``tools/dataset_converters/class_statistics.py`` for this
            dataset.
        temperature: ``T``. The smaller, the more rare classes are preferred.
        min_pixels: From how many pixels on an image counts as showing a class.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not about this dataset, or no image shows any class.
    """

    def __init__(
        self,
        dataset: BaseDataset,
        class_statistics: str | Path,
        temperature: float = 0.01,
        min_pixels: int = 3000,
    ) -> None:
        if temperature <= 0:
            raise ValueError(f'rare_class_sampling.temperature={temperature} must be positive.')
        pixels = _read_class_statistics(dataset, class_statistics)
        shows = pixels >= max(min_pixels, 1)
        present = np.any(shows, axis=0)
        if not present.any():
            raise ValueError(
                f'rare_class_sampling: no image of {class_statistics} shows any class with '
                f'min_pixels={min_pixels}. Lower it.'
            )
        _warn_of_excluded(dataset.metainfo['classes'], pixels, present, min_pixels)
        frequency = pixels.sum(axis=0) / pixels.sum()
        self.class_probabilities = softmax(
            np.where(present, (1 - frequency) / temperature, -np.inf)
        )
        self.images_of_class = [np.flatnonzero(column) for column in shows.T]

    def draw(self, generator: np.random.Generator) -> int:
        """Draw the index of an image."""
        drawn_class = generator.choice(len(self.class_probabilities), p=self.class_probabilities)
        return int(generator.choice(self.images_of_class[drawn_class]))


def _warn_of_excluded(
    classes: Sequence[str], pixels: np.ndarray, present: np.ndarray, min_pixels: int
) -> None:
    most = pixels.max(axis=0)
    excluded = [(classes[i], most[i]) for i in np.flatnonzero((most > 0) & ~present).tolist()]
    if excluded:
        names = ', '.join(
            f'{name} (at most {count} pixels in an image)' for name, count in excluded
        )
        print_log(
            f'rare_class_sampling.min_pixels={min_pixels} excludes {len(excluded)} of '
            f'{len(classes)} classes, for which no image is ever drawn: {names}. To draw all of '
            f'them, set rare_class_sampling=dict(min_pixels={min(n for _, n in excluded)}) '
            'or less.',
            'current',
            logging.WARNING,
        )


def _read_class_statistics(dataset: BaseDataset, path: str | Path) -> np.ndarray:
    remedy = 'Write it with tools/dataset_converters/class_statistics.py CONFIG OUT.json.'
    try:
        content = json.loads(Path(path).read_text())
        classes, pixels = content['classes'], content['pixels']
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f'rare_class_sampling.class_statistics: there is no file {path}. {remedy}'
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'rare_class_sampling.class_statistics: {path} is not a file of class statistics '
            f'({error!r}). {remedy}'
        ) from error
    if classes != list(dataset.metainfo['classes']):
        raise ValueError(
            f'rare_class_sampling.class_statistics: {path} counts the classes {classes}, but the '
            f'dataset has {list(dataset.metainfo["classes"])}. {remedy}'
        )
    names = _image_names(dataset)
    missing = [name for name in names if name not in pixels]
    if missing:
        raise ValueError(
            f'rare_class_sampling.class_statistics: {path} lacks {len(missing)} of {len(names)} '
            f'images: {", ".join(missing[:3])}, ... {remedy} If a converter of '
            'tools/dataset_converters wrote it, these images have no usable labels: set ann_file '
            'to the images.txt beside it.'
        )
    return np.array([pixels[name] for name in names], dtype=np.int64)


def source_dataset_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the (source) training dataset in a runner's config, to be built alone.

    Raises:
        ValueError: The config trains nothing.
    """
    return _dataset_config(config, 'source')


def target_dataset_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of the target training dataset in a runner's config; the only one if alone.

    Raises:
        ValueError: The config trains nothing.
    """
    return _dataset_config(config, 'target')


def _dataset_config(config: Mapping[str, Any], domain: str) -> dict[str, Any]:
    if config.get('train_dataloader') is None:
        raise ValueError(
            f'the config has no train_dataloader, whose {domain} dataset is read. Give the config '
            'of a training.'
        )
    dataset = config['train_dataloader']['dataset']
    own = dataset.get(domain, dataset).copy()
    for option in DOMAIN_OPTIONS:
        own.pop(option, None)
    return own
