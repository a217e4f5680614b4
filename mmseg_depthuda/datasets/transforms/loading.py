# Licensed under the Apache License 2.0, see LICENSE.
"""Loading of labels and depth."""

import logging
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ..depth_encodings import DEPTH_ENCODINGS
from ..depth_values import (
    SAMPLED_FILES,
    STREET_METRES,
    check_expected_metres,
    check_file,
    check_sample,
)
from .depth_files import DEPTH_FILES, stored_metres
from .label_files import read_labels


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Load the label map as train indices, by one table look-up.

    Does nothing for a sample without ``seg_map_path``: the same pipeline serves datasets without
    labels, and MMSegInferencer. May stand before or after a resize, as in MMSeg's pipelines.

    Required keys: ``seg_map_path`` (optional), ``label_map``, ``ori_shape``. Added: ``gt_seg_map``
    (uint8, (H, W)), also in ``seg_fields``.

    Args:
        on_size_mismatch: What to do when image and labels differ in size, as some pairs of GTA5 do:
            ``'error'``, ``'resize'`` the labels to the image (nearest), or ``'skip'`` the sample,
            for which the dataset draws another. The last two log the file, once per worker.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_labels`, and on sizes that differ.
    """

    def __init__(self, on_size_mismatch: str = 'error') -> None:
        if on_size_mismatch not in ('error', 'resize', 'skip'):
            raise ValueError(
                f"on_size_mismatch={on_size_mismatch!r} must be 'error', 'resize' or 'skip'."
            )
        self.on_size_mismatch = on_size_mismatch
        self._logged: set[str] = set()

    def transform(self, results: dict) -> dict | None:
        path = results.get('seg_map_path')
        if path is None:
            return results
        labels = read_labels(path, results['label_map'])
        if labels.shape != tuple(results['ori_shape']):
            message = (
                f'seg_map_path: {path} is {labels.shape[1]}x{labels.shape[0]}, but its image '
                f'{results["img_path"]} is {results["ori_shape"][1]}x{results["ori_shape"][0]}'
            )
            if self.on_size_mismatch == 'error':
                raise ValueError(
                    f"{message}. Remove the pair, or set LoadLabels(on_size_mismatch='skip' or "
                    "'resize')."
                )
            self._log_once(path, f'{message}: {self.on_size_mismatch}.')
            if self.on_size_mismatch == 'skip':
                return None
            labels = cv2.resize(labels, results['ori_shape'][::-1], interpolation=cv2.INTER_NEAREST)
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')
        return results

    def _log_once(self, path: str, message: str) -> None:
        if path not in self._logged:
            self._logged.add(path)
            print_log(message, logger='current', level=logging.WARNING)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(on_size_mismatch={self.on_size_mismatch!r})'


def read_inverse_depth(info: Mapping, encoding: str) -> np.ndarray:
    """Read the depth map of an image at the resolution of its file.

    Args:
        info: ``depth_map_path``, ``depth_file``, ``camera_path`` for ``'cityscapes_disparity'``,
            and ``img_path`` and ``ori_shape`` of the image.
        encoding: Key of ``DEPTH_ENCODINGS``.

    Returns:
        Inverse depth, float32, (h, w) of the image's aspect ratio, > 0 where valid.

    Raises:
        FileNotFoundError, ValueError: If a file is missing, damaged, of 8 bits, lacks a key, or
            does not have the shape of the image.
    """
    depth = DEPTH_FILES[info['depth_file']](info, encoding)
    height, width = info['ori_shape']
    # Half a pixel of rounding per side is what downscaling an odd size leaves.
    if abs(depth.shape[0] * width - depth.shape[1] * height) > (width + height) / 2:
        raise ValueError(
            f'depth_map_path: {info["depth_map_path"]} is {depth.shape[1]}x{depth.shape[0]}, which '
            f'is not the shape of its image {info["img_path"]}, {width}x{height}. Check '
            'data_prefix.depth_map_path.'
        )
    return depth


@TRANSFORMS.register_module()
class LoadInverseDepth(BaseTransform):
    """Load the depth map of any file kind as inverse depth in the package's convention
    (``docs/data.md``).

    Does nothing for a sample without ``depth_map_path``. A depth map of another resolution than the
    image, but of the same aspect ratio, is brought to the image's size (nearest).

    Required keys: ``depth_map_path`` (optional), ``depth_file``, ``ori_shape``, and ``camera_path``
    for ``'cityscapes_disparity'``. Added: ``gt_depth_map`` (float32, (H, W), > 0 where valid), also
    in ``seg_fields``, so that MMSeg's geometric transforms move it along.

    Args:
        encoding: The inverse depth to train on: ``'corda'`` or ``'dada'``.
        expected_metres: Range of the median depth of a set in meters; ``None`` accepts any. A file
            is refused where its median is less than a quarter or more than three times of it, and
            the first four files where the median of their medians is outside. Defaults to street
            scenes, 2 to 100 m.

    Raises:
        FileNotFoundError, ValueError, KeyError: If a file is missing, damaged, of 8 bits, lacks a
        key, has no valid pixel, does not fit the image, or has another unit by its median.
    """

    def __init__(
        self, encoding: str = 'corda', expected_metres: Sequence[float] | None = STREET_METRES
    ) -> None:
        if encoding not in DEPTH_ENCODINGS:
            raise ValueError(
                f'encoding={encoding!r} is unknown. Choose one of {sorted(DEPTH_ENCODINGS)}.'
            )
        self.encoding = encoding
        self.expected_metres = check_expected_metres(expected_metres)
        self._medians: dict[str, float] = {}  # of the first files

    def transform(self, results: dict) -> dict:
        if results.get('depth_map_path') is None:
            return results
        depth = read_inverse_depth(results, self.encoding)
        self._check(results, depth)
        height, width = results['ori_shape']
        if depth.shape != (height, width):
            depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        results['gt_depth_map'] = depth
        results['seg_fields'].append('gt_depth_map')
        return results

    def _check(self, results: dict, depth: np.ndarray) -> None:
        median = check_file(depth, results, self.expected_metres, lambda: stored_metres(results))
        if median is not None and len(self._medians) < SAMPLED_FILES:
            self._medians[results['depth_map_path']] = median
            if len(self._medians) == SAMPLED_FILES:
                check_sample(self._medians, results['depth_file'], self.expected_metres)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(encoding={self.encoding!r}, '
            f'expected_metres={self.expected_metres})'
        )
