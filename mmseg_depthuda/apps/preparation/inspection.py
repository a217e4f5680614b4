# Licensed under the Apache License 2.0, see LICENSE.
"""One image and what goes with it: read exactly as training reads it, then converted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.datasets.class_statistics import count_pixels
from mmseg_depthuda.datasets.depth_values import STREET_METRES, check_file
from mmseg_depthuda.datasets.transforms import (
    DEPTH_FILES,
    LoadImageFromFile,
    LoadLabels,
    read_inverse_depth,
    read_labels,
)
from mmseg_depthuda.datasets.transforms.depth_files import stored_metres
from mmseg_depthuda.fileio import atomic_write

from .splits import Sample

# Without prediction from neighboring pixels, label maps are smaller and decode in half the time.
_LABEL_PNG = (
    cv2.IMWRITE_PNG_COMPRESSION, 6,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_DEFAULT,
    cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE,
)  # fmt: skip

FileState = list[int]
"""Size in bytes and time of the last change in nanoseconds."""


def file_state(path: str) -> FileState | None:
    """State of a file, ``None`` if it is missing or cannot be reached."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]


class Problem(NamedTuple):
    """Why an image cannot be used.

    Attributes:
        kind: ``'image'``, ``'labels'``, or ``'depth KIND'``.
        path: The file.
        reason: What is wrong with it.
    """

    kind: str
    path: str
    reason: str


@dataclass
class Inspection:
    """What is known about one image after it was read.

    Attributes:
        name: Path of the image below ``img_path``.
        stem: The same without suffix.
        sources: State of every source file when it was read.
        problems: Why the image cannot be used; empty if it can.
        class_pixels: Number of pixels of every class; ``None`` if the labels cannot be used.
        valid_depth: Kind of depth -> share of valid pixels.
        median_metres: Kind of depth -> median depth in meters, where it has a unit.
        resized_depth: Kinds of depth whose resolution is not that of the image.
        converted: State of the converted labels; ``None`` if they were not written.
    """

    name: str
    stem: str
    sources: list[FileState | None]
    problems: list[Problem] = field(default_factory=list)
    class_pixels: list[int] | None = None
    valid_depth: dict[str, float] = field(default_factory=dict)
    median_metres: dict[str, float] = field(default_factory=dict)
    resized_depth: list[str] = field(default_factory=list)
    converted: FileState | None = None


def inspect(
    sample: Sample, label_map: Mapping[int, int], num_classes: int, write: bool
) -> Inspection:
    """Read the files of an image with the loaders of training and collect what is wrong.

    Args:
        sample: The files.
        label_map: Raw label value -> train index.
        num_classes: Number of train indices.
        write: Whether to write the converted labels (8-bit PNG, one channel).

    Raises:
        OSError: If the converted labels cannot be written.
    """
    # Taken first, so that a file that changes meanwhile is read again by the next run.
    result = Inspection(sample.name, sample.stem, [file_state(p) for p in sample.source_paths])
    info = dict(
        img_path=sample.img_path,
        seg_map_path=sample.seg_map_path,
        label_map=label_map,
        seg_fields=[],
    )
    with _reported(result, 'image', sample.img_path):
        LoadImageFromFile().transform(info)
    labels = None
    with _reported(result, 'labels', sample.seg_map_path):
        labels = _fitting_labels(info)
    for kind, files in sample.depth.items():
        with _reported(result, f'depth {kind}', files['depth_map_path']):
            _verify_depth(result, kind, info | files)
    if labels is not None:
        result.class_pixels = count_pixels(labels, num_classes).tolist()
        if write:
            _write_labels(sample.converted_path, labels)
            result.converted = file_state(sample.converted_path)
    return result


@contextmanager
def _reported(result: Inspection, kind: str, path: str) -> Iterator[None]:
    """Turn whatever a decoder says about a broken file into a problem of the image."""
    try:
        yield
    except (OSError, ValueError, AssertionError) as error:
        result.problems.append(Problem(kind, path, str(error)))
    except Exception as error:  # decoders have a dozen more types for broken files
        result.problems.append(Problem(kind, path, f'{type(error).__name__}: {error}'))


def _fitting_labels(info: dict) -> np.ndarray | None:
    """Train indices, uint8, (H, W); ``None`` if there is no image that they could fit."""
    if 'ori_shape' not in info:
        read_labels(info['seg_map_path'], info['label_map'])
        return None
    LoadLabels(on_size_mismatch='error').transform(info)
    return info['gt_seg_map']


def _verify_depth(result: Inspection, kind: str, info: dict) -> None:
    if 'ori_shape' not in info:
        DEPTH_FILES[info['depth_file']](info, 'corda')
        return
    depth = read_inverse_depth(info, 'corda')
    median = check_file(depth, info, STREET_METRES, lambda: stored_metres(info))
    if median is not None:
        result.median_metres[kind] = median
    result.valid_depth[kind] = np.count_nonzero(valid_depth(depth)) / depth.size
    if depth.shape != tuple(info['ori_shape']):
        result.resized_depth.append(kind)


def _write_labels(path: str, labels: np.ndarray) -> None:
    encoded, content = cv2.imencode('.png', labels, _LABEL_PNG)
    if not encoded:
        raise OSError(f'OpenCV cannot encode {path}, {labels.shape} {labels.dtype}.')
    # A file that a power failure left short has another size than recorded, and is written again.
    with atomic_write(path, durable=False) as file:
        file.write(content.tobytes())
