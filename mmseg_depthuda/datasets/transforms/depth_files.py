# Licensed under the Apache License 2.0, see LICENSE.
"""Depth files of every kind, decoded into inverse depth in memory.

A *file kind* says what the stored numbers are (:data:`DEPTH_FILES`), an *encoding* says which
inverse depth a method trains on (:data:`DEPTH_ENCODINGS`). The two are independent, except that a
disparity without camera has no metres.

16-bit metric files are decoded through a table of 65536 entries: one pass over the pixels, computed
in float64.
"""

import io
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from scipy.io import loadmat

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH

from ..cameras import read_cityscapes_camera
from ..file_integrity import read_intact
from .images import decode_image

DEPTH_MAT_KEY = 'depth_map'
MAX_METRES = 655.35
MIN_METRES = 0.1


def corda_inverse_depth(metres: np.ndarray) -> np.ndarray:
    """CorDA's ``655.36 / (metres + 0.01)``.

    Args:
        metres: Depth in metres, any float dtype, any shape.

    Returns:
        float32 of the same shape. CorDA writes missing depth as the value 1, which is 655.35 m;
        such pixels, everything beyond, everything nearer than 0.1 m, and NaN become
        ``INVALID_DEPTH``. Valid values lie in (1, 5957.9].
    """
    valid = (metres >= MIN_METRES) & (metres < MAX_METRES)
    return _where_valid(valid, metres, lambda m: 655.36 / (m + 0.01))


def dada_inverse_depth(metres: np.ndarray) -> np.ndarray:
    """DADA's ``65536 / (centimetres + 1)``, where every finite depth is valid, also 0.

    Args:
        metres: Depth in metres, any float dtype, any shape.

    Returns:
        float32 of the same shape, in (0, 65536] where valid.
    """
    valid = np.isfinite(metres) & (metres >= 0)
    return _where_valid(valid, metres, lambda m: 65536 / (100 * m + 1))


def _where_valid(
    valid: np.ndarray, values: np.ndarray, encode: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    encoded = encode(np.where(valid, values, 1))
    return np.where(valid, encoded, INVALID_DEPTH).astype(np.float32)


DEPTH_ENCODINGS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    'corda': corda_inverse_depth,
    'dada': dada_inverse_depth,
}


def read_png_disparity(info: dict, encoding: str) -> np.ndarray:
    """16-bit disparity of unknown scale (monocular networks): ``value / 256 + 1``, 0 is invalid."""
    if encoding != 'corda':
        raise ValueError(
            f'depth_map_path: {info["depth_map_path"]} is a disparity without camera, from which '
            f'encoding={encoding!r} cannot '
            "be computed. Use encoding='corda', or depth files in metres or centimetres."
        )
    values = _read_uint16(info['depth_map_path'])
    depth = values * np.float32(1 / 256) + np.float32(1)  # exact: 24 bits suffice
    depth[values == 0] = INVALID_DEPTH
    return depth


def read_png_centimetres(info: dict, encoding: str) -> np.ndarray:
    """16-bit depth in centimetres (SYNTHIA)."""
    return _centimetre_table(encoding)[_read_uint16(info['depth_map_path'])]


def read_cityscapes_disparity(info: dict, encoding: str) -> np.ndarray:
    """Official Cityscapes disparity: ``(value - 1) / 256`` pixels, 0 = invalid.

    ``metres = baseline * fx / disparity`` with the two numbers of the camera file.
    """
    if 'camera_path' not in info:
        raise ValueError(
            "data_prefix.camera_path is missing: the disparity of depth='official' needs the "
            'camera files for its metres.'
        )
    camera = read_cityscapes_camera(info['camera_path'], 'camera_path')
    table = _stereo_table(encoding, camera.baseline * camera.fx)
    return table[_read_uint16(info['depth_map_path'])]


def read_mat_metres(info: dict, encoding: str) -> np.ndarray:
    """MATLAB file with metres under the key ``depth_map`` (Cityscapes stereo depth)."""
    path = info['depth_map_path']
    data = read_intact(path, 'depth_map_path')
    try:
        content = loadmat(io.BytesIO(data))
    except Exception as error:  # SciPy raises a dozen types for broken files
        raise ValueError(
            f'depth_map_path: {path} cannot be read as a MATLAB file ({error}). Restore it; a file '
            'of version 7.3 has to be saved again with -v7.'
        ) from error
    if DEPTH_MAT_KEY not in content:
        found = sorted(key for key in content if not key.startswith('__'))
        raise ValueError(
            f'depth_map_path: {path} has no key {DEPTH_MAT_KEY!r}, only {found}. Save the metres '
            'under that key.'
        )
    metres = content[DEPTH_MAT_KEY]
    if metres.ndim != 2 or metres.dtype.kind not in 'fui':
        raise ValueError(
            f'depth_map_path: {DEPTH_MAT_KEY!r} in {path} has shape {metres.shape} and dtype '
            f'{metres.dtype}, but metres are a matrix (H, W) of numbers.'
        )
    return DEPTH_ENCODINGS[encoding](np.asarray(metres, dtype=np.float32))


DEPTH_FILES: Mapping[str, Callable[[dict, str], np.ndarray]] = {
    'png_disparity': read_png_disparity,
    'png_centimetres': read_png_centimetres,
    'mat_metres': read_mat_metres,
    'cityscapes_disparity': read_cityscapes_disparity,
}
"""File kind -> ``reader(data_info, encoding)``, which returns inverse depth, float32, (H, W)."""


@lru_cache
def _centimetre_table(encoding: str) -> np.ndarray:
    return DEPTH_ENCODINGS[encoding](np.arange(65536) / 100)


@lru_cache(maxsize=16)
def _stereo_table(encoding: str, focal_baseline: float) -> np.ndarray:
    metres = np.full(65536, np.nan)
    metres[1] = np.inf  # disparity 0
    metres[2:] = focal_baseline * 256 / np.arange(1, 65535)
    return DEPTH_ENCODINGS[encoding](metres)


def _read_uint16(path: str) -> np.ndarray:
    depth = decode_image(read_intact(path, 'depth_map_path'), path, 'depth_map_path')
    if depth.dtype != np.uint16:
        raise ValueError(
            f'depth_map_path: {path} holds {depth.dtype}, but depth needs 16 bits. An 8-bit file '
            'is usually a picture made for viewing: point data_prefix.depth_map_path to the '
            '16-bit files.'
        )
    if depth.ndim == 3:
        if not (depth[..., 0] == depth[..., 1]).all():
            raise ValueError(
                f'depth_map_path: {path} has {depth.shape[2]} channels that differ, but depth is '
                'one value per pixel.'
            )
        depth = depth[..., 0]
    return depth
