# Licensed under the Apache License 2.0, see LICENSE.
"""Loading of labels and depth."""

import logging
from collections.abc import Mapping

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ..file_integrity import read_intact
from ..label_protocols import IGNORE_INDEX
from .depth_files import DEPTH_ENCODINGS, DEPTH_FILES
from .images import decode_image

_UNKNOWN = 254  # no train index: there are at most 254 classes, 0..253


def read_labels(path: str, label_map: Mapping[int, int]) -> np.ndarray:
    """Read a label file and map its raw values to train indices.

    Args:
        path: PNG with one channel or a palette, 8 or 16 bits; or 16 bits and three channels with
            the class id in the first, red one (SYNTHIA); or 8 bits and three equal channels.
        label_map: Raw value -> train index or 255, for every value that may occur.

    Returns:
        Train indices, uint8, (H, W); 255 = ignore.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty or damaged, holds colours, or a value not in ``label_map``.
    """
    raw = decode_image(read_intact(path, 'seg_map_path'), path, 'seg_map_path')
    if raw.ndim == 3:
        if raw.dtype == np.uint8 and (raw[..., :2] != raw[..., 2:3]).any():
            raise ValueError(
                f'seg_map_path: {path} holds colours, but labels are ids. Convert the colours to '
                'ids and save them as PNG with one channel.'
            )
        raw = np.ascontiguousarray(raw[..., 2])  # OpenCV orders channels BGR
    if raw.dtype == np.uint16:
        if raw.max() > IGNORE_INDEX:
            raise _unknown_values(path, np.unique(raw[raw > IGNORE_INDEX]), label_map)
        raw = raw.astype(np.uint8)
    if raw.dtype != np.uint8:
        raise ValueError(
            f'seg_map_path: {path} holds {raw.dtype}, but labels are integers of 8 or 16 bits.'
        )
    table = np.full(256, _UNKNOWN, dtype=np.uint8)
    table[list(label_map)] = list(label_map.values())
    labels = cv2.LUT(raw, table)
    if (labels == _UNKNOWN).any():
        raise _unknown_values(path, np.unique(raw[labels == _UNKNOWN]), label_map)
    return labels


def _unknown_values(path: str, values: np.ndarray, label_map: Mapping[int, int]) -> ValueError:
    return ValueError(
        f'seg_map_path: {path} holds the label values {values[:10].tolist()}, which the label '
        f'protocol does not know (it knows {sorted(label_map)}). Check that '
        'data_prefix.seg_map_path names label ids rather than colours or train ids, and that '
        'protocol, labelling or label_map fit.'
    )


@TRANSFORMS.register_module()
class LoadLabels(BaseTransform):
    """Load the label map as train indices, by one table look-up.

    Does nothing for a sample without ``seg_map_path``: the same pipeline serves a dataset without
    labels, and MMSegInferencer, which has none either. May stand before or after a resize, as in
    MMSeg's pipelines.

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

    Raises:
        FileNotFoundError, ValueError, KeyError: If a file is missing, damaged, of 8 bits, lacks a
        key, or does not fit the image.
    """

    def __init__(self, encoding: str = 'corda') -> None:
        if encoding not in DEPTH_ENCODINGS:
            raise ValueError(
                f'encoding={encoding!r} is unknown. Choose one of {sorted(DEPTH_ENCODINGS)}.'
            )
        self.encoding = encoding

    def transform(self, results: dict) -> dict:
        if results.get('depth_map_path') is None:
            return results
        depth = read_inverse_depth(results, self.encoding)
        height, width = results['ori_shape']
        if depth.shape != (height, width):
            depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        results['gt_depth_map'] = depth
        results['seg_fields'].append('gt_depth_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(encoding={self.encoding!r})'
