# Licensed under the Apache License 2.0, see LICENSE.
"""IoU of every image, and the file that stores it for a comparison of two networks."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmseg_depthuda.fileio import AtomicBackend

CLASS_PREFIX = 'IoU.'
_COLUMNS = ('image', 'width', 'height', 'labelled_pixels', 'counted_classes', 'mIoU')


@dataclass(frozen=True, eq=False)
class ImageScores:
    """What a network reaches on each of N images.

    Attributes:
        images: Names, in the order of the dataset: paths below the folder that all have in common,
            so that two copies of the data give the same ones.
        classes: Names of the C classes.
        iou: float64, (N, C), in percent; NaN for a class that neither the label nor the prediction
            of the image contains. Pixels that the label ignores count nowhere.
        sizes: int64, (N, 2), height and width at which prediction and label were compared.
        labelled_pixels: int64, (N,), pixels that the label does not ignore.
    """

    images: Sequence[str]
    classes: Sequence[str]
    iou: np.ndarray
    sizes: np.ndarray
    labelled_pixels: np.ndarray

    @property
    def counted_classes(self) -> np.ndarray:
        """int64, (N,): the classes that are in the label or in the prediction of an image."""
        return np.isfinite(self.iou).sum(axis=1)

    @property
    def miou(self) -> np.ndarray:
        """float64, (N,), in percent: mean over the counted classes; NaN for an image whose label
        ignores every pixel."""
        with np.errstate(invalid='ignore'):
            return np.nansum(self.iou, axis=1) / self.counted_classes


def score_images(
    paths: Sequence[str | Path],
    classes: Sequence[str],
    intersection: np.ndarray,
    union: np.ndarray,
    label: np.ndarray,
    sizes: Sequence[tuple[int, int]],
) -> ImageScores:
    """Divide the areas of each image.

    Args:
        paths (Sequence[str | Path]): Image files, N.
        classes (Sequence[str]): Names of the C classes.
        intersection (np.ndarray): (N, C), pixels of a class that are predicted as this class.
        union (np.ndarray): (N, C), pixels that have a class as label or as prediction, without
            those that the label ignores.
        label (np.ndarray): (N, C), pixels that have a class as label.
        sizes (Sequence[tuple[int, int]]): Per image the height and width compared at.

    Returns:
        ImageScores: The scores.
    """
    intersection, union = (np.asarray(area, dtype=np.float64) for area in (intersection, union))
    with np.errstate(invalid='ignore'):
        iou = 100 * intersection / union
    return ImageScores(
        images=_names_below_common_folder(paths),
        classes=tuple(classes),
        iou=iou,
        sizes=np.asarray(sizes, dtype=np.int64).reshape(-1, 2),
        labelled_pixels=np.asarray(label, dtype=np.int64).sum(axis=1),
    )


def _names_below_common_folder(paths: Sequence[str | Path]) -> list[str]:
    """``frankfurt/frankfurt_000000_000294_leftImg8bit.png`` of Cityscapes, wherever it lies."""
    absolute = [os.path.abspath(path) for path in paths]
    folder = os.path.commonpath([os.path.dirname(path) for path in absolute])
    return [Path(os.path.relpath(path, folder)).as_posix() for path in absolute]


def write_image_scores(path: str | Path, scores: ImageScores) -> None:
    """Write scores as CSV, a row per image, unrounded.

    The columns are ``image``, ``width``, ``height``, ``labelled_pixels``, ``counted_classes``,
    ``mIoU`` and ``IoU.CLASS`` for each class. An empty cell stands for NaN.

    Args:
        path (str | Path): CSV file; complete or absent.
        scores (ImageScores): What to write.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow([*_COLUMNS, *(f'{CLASS_PREFIX}{name}' for name in scores.classes)])
    columns = (
        scores.images,
        scores.sizes[:, 1].tolist(),
        scores.sizes[:, 0].tolist(),
        scores.labelled_pixels.tolist(),
        scores.counted_classes.tolist(),
        scores.miou.tolist(),
        scores.iou.tolist(),
    )
    for *row, miou, iou in zip(*columns, strict=True):
        writer.writerow([*row, *('' if value != value else value for value in (miou, *iou))])
    AtomicBackend().put_text(text.getvalue(), path)


def read_image_scores(path: str | Path) -> ImageScores:
    """Read what :func:`write_image_scores` has written.

    Args:
        path (str | Path): CSV file.

    Returns:
        ImageScores: The same scores to the last bit.

    Raises:
        ValueError: The file does not exist, is of another kind, holds no image or one twice, or a
            cell is not a number; the message names it.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(
            f'{path} does not exist. Write it: python tools/test.py CONFIG CHECKPOINT '
            f'--cfg-options test_evaluator.per_image_scores={path}'
        )
    header, *rows = _read_rows(path)
    classes = [name.removeprefix(CLASS_PREFIX) for name in header[len(_COLUMNS) :]]
    expected = [*_COLUMNS, *(f'{CLASS_PREFIX}{name}' for name in classes)]
    if not classes or header != expected or any(len(row) != len(header) for row in rows):
        raise ValueError(
            f'{path} holds no per-image scores: the first line must be '
            f'{",".join(_COLUMNS)},{CLASS_PREFIX}CLASS,... and every other line as long. It is '
            'written by test_evaluator.per_image_scores.'
        )
    images = [row[0] for row in rows]
    if not images:
        raise ValueError(f'{path} holds no image')
    if len(set(images)) < len(images):
        twice = sorted({name for name in images if images.count(name) > 1})
        raise ValueError(
            f'{path} has rows of the same image, {", ".join(twice[:3])}: test on a dataset that '
            'has each image once.'
        )
    try:
        counts = np.array([row[1:5] for row in rows]).astype(np.int64)
        iou = np.array([[cell or 'nan' for cell in row[6:]] for row in rows]).astype(np.float64)
    except ValueError as error:
        raise ValueError(f'{path}: {error}') from error
    return ImageScores(
        images=images,
        classes=tuple(classes),
        iou=iou,
        sizes=counts[:, [1, 0]],
        labelled_pixels=counts[:, 2],
    )


def _read_rows(path: Path) -> list[list[str]]:
    """Rows of a CSV file; a single empty row if the file is no CSV."""
    with path.open(newline='', encoding='utf-8', errors='replace') as file:
        try:
            return list(csv.reader(file)) or [[]]
        except csv.Error:  # a checkpoint, for one, has a field larger than the limit
            return [[]]
