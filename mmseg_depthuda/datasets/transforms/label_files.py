# Licensed under the Apache License 2.0, see LICENSE.
"""Label files: what their pixels say, and what is refused."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import cv2
import numpy as np

from ..file_integrity import JPEG_START, read_intact
from ..label_protocols import IGNORE_INDEX
from .images import decode_image

_UNKNOWN = 254  # no train index: there are at most 254 classes, 0..253
_MANY = 32  # more unknown values than this are shades, not ids


def read_labels(path: str, label_map: Mapping[int, int]) -> np.ndarray:
    """Read a label file and map its raw values to train indices.

    Args:
        path: As in :func:`read_label_ids`.
        label_map: Raw value -> train index or 255, for every value that may occur.

    Returns:
        Train indices, uint8, (H, W); 255 = ignore.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As :func:`read_label_ids`, or if it holds a value not in ``label_map``.
    """
    ids = read_label_ids(path)
    table = np.full(IGNORE_INDEX + 1, _UNKNOWN, dtype=np.uint8)
    table[list(label_map)] = list(label_map.values())
    if ids.dtype == np.uint8:
        labels = cv2.LUT(ids, table)
        if not (labels == _UNKNOWN).any():
            return labels
    found = np.unique(ids).tolist()
    unknown = [value for value in found if value not in label_map]
    raise ValueError(
        f'seg_map_path: {path} holds the label values {short_list(unknown)}, which the label '
        f'protocol does not know (it knows {sorted(label_map)}). '
        + label_map_remedy(found, label_map)
    )


def read_label_ids(path: str) -> np.ndarray:
    """Read the raw values of a label file.

    Args:
        path: Image without loss. One channel of integers of 1, 8, 16 or 32 bits; a palette, of
            which the indices count; 16 bits and three channels with the id in the first, red one
            (SYNTHIA); or 8 bits and three equal channels. A fully opaque alpha channel is ignored.

    Returns:
        Raw label values, (H, W), uint8, or int64 if one of them is not in 0..255.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty or damaged, compressed with loss, or holds colors, transparency
            or fractions.
    """
    data = read_intact(path, 'seg_map_path')
    _refuse_lossy(data, path)
    raw = decode_image(data, path, 'seg_map_path')
    if raw.dtype.kind not in 'iu':
        raise ValueError(
            f'seg_map_path: {path} holds {raw.dtype}, but labels are integers. Save the ids as PNG '
            'of 8 bits.'
        )
    if raw.ndim == 3:
        raw = _one_channel(raw, path)
    if raw.dtype != np.uint8:
        in_range = raw.min() >= 0 and raw.max() <= IGNORE_INDEX
        raw = raw.astype(np.uint8 if in_range else np.int64)
    return raw


def _refuse_lossy(data: bytes, path: str) -> None:
    is_webp = data[:4] == b'RIFF' and data[8:12] == b'WEBP'
    if data.startswith(JPEG_START):
        kind = 'a JPEG'
    elif is_webp and b'VP8 ' in data[12:64]:
        kind = 'a WebP with loss'
    else:
        return
    raise ValueError(
        f'seg_map_path: {path} is {kind}, whatever its name says. Such compression changes label '
        'values at every edge. Save the original labels as PNG, and name them with '
        "data_prefix=dict(seg_map_path=...) and seg_map_suffix='.png'."
    )


def _one_channel(raw: np.ndarray, path: str) -> np.ndarray:
    """The channel that holds the ids, of channels as OpenCV orders them (BGR, BGRA)."""
    channels = raw.shape[2]
    if channels not in (3, 4):
        raise ValueError(
            f'seg_map_path: {path} has {channels} channels. Save the ids as PNG with one channel.'
        )
    if channels == 4 and (raw[..., 3] != np.iinfo(raw.dtype).max).any():
        raise ValueError(
            f'seg_map_path: {path} has transparent pixels, and which label they have is unknown. '
            'Save the ids as PNG with one channel, 255 where nothing is labeled.'
        )
    if raw.dtype == np.uint8 and (raw[..., :2] != raw[..., 2:3]).any():
        colors = np.unique(raw[..., 2::-1].reshape(-1, 3), axis=0).tolist()
        raise ValueError(
            f'seg_map_path: {path} holds colors ({len(colors)} different RGB values: '
            f'{short_list(colors, 3)}), but labels are ids. If files of ids lie beside them, name '
            "those: data_prefix=dict(seg_map_path=FOLDER) or seg_map_suffix='_labelIds.png'. "
            'Otherwise convert every color to its id and save the ids as PNG with one channel.'
        )
    return np.ascontiguousarray(raw[..., 2])


def label_map_remedy(found: Collection[int], label_map: Mapping[int, int]) -> str:
    """Say which line of config fits the label values that were found.

    Args:
        found: Raw values, known or not.
        label_map: Raw value -> train index or 255, as it is now.

    Returns:
        One or two sentences.
    """
    num_classes = len(set(label_map.values()) - {IGNORE_INDEX})
    if len(set(found) - set(label_map)) > _MANY:
        return (
            'So many values are shades of a picture, or labels that were resized with '
            'interpolation or saved with loss. Name the original label ids in '
            'data_prefix.seg_map_path.'
        )
    suggestion = _suggested_label_map(found, num_classes)
    if suggestion is not None:
        return (
            f'If these are the {num_classes} classes in their order, set label_map={suggestion} of '
            'the FolderDepthDataset; otherwise map each value to its class, or to 255 to ignore it.'
        )
    return (
        'Check that data_prefix.seg_map_path names label ids rather than colors or train ids, and '
        'that protocol or labeling fit. A FolderDepthDataset needs label_map={raw value: train '
        'index} with every value, and 255 as the index to ignore.'
    )


def _suggested_label_map(found: Collection[int], num_classes: int) -> dict[int, int] | None:
    """The one plausible map of the values to the classes, if there is one."""
    values = sorted(found)
    if any(not 0 <= value <= IGNORE_INDEX for value in values):
        return None
    without_ignored = [value for value in values if value != IGNORE_INDEX]
    for candidate in (without_ignored, values):
        if len(candidate) == num_classes:
            return {value: index for index, value in enumerate(candidate)}
    if without_ignored[:1] == [0] and len(without_ignored) == num_classes + 1:
        # MMSeg's reduce_zero_label: 0 is the background, which is not trained on.
        return {value: (index - 1) % (IGNORE_INDEX + 1) for index, value in enumerate(values)}
    return None


def short_list(values: Collection, most: int = 10) -> str:
    """Write the first values as a list, and whether there are more."""
    shown = ', '.join(map(str, list(values)[:most]))
    return f'[{shown}{", ..." if len(values) > most else ""}]'
