# Licensed under the Apache License 2.0, see LICENSE.
"""Depth files of every kind, decoded into inverse depth in memory.

A *file kind* says what the stored numbers are (:data:`DEPTH_FILES`), an *encoding* says which
inverse depth a method trains on (:mod:`~mmseg_depthuda.datasets.depth_encodings`). The two are
independent, except that a disparity without camera has no meters.

16-bit metric files are decoded through a table of 65536 entries: one pass over the pixels, computed
in float64.
"""

import io
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
from scipy.io import loadmat
from scipy.sparse import issparse

from ..cameras import read_cityscapes_camera
from ..depth_encodings import (
    DEPTH_ENCODINGS,
    decode_centimetres,
    decode_cityscapes_disparity,
    decode_png_disparity,
)
from ..file_integrity import read_intact
from .images import decode_image

DEPTH_MAT_KEY = 'depth_map'


def read_png_disparity(info: Mapping, encoding: str) -> np.ndarray:
    """16-bit disparity of unknown scale (monocular networks): ``value / 256 + 1``, 0 is invalid."""
    if encoding != 'corda':
        raise ValueError(
            f'depth_map_path: {info["depth_map_path"]} is a disparity without camera, from which '
            f'encoding={encoding!r} cannot '
            "be computed. Use encoding='corda', or depth files in meters or centimeters."
        )
    return decode_png_disparity(_read_uint16(info['depth_map_path']))


def read_png_centimetres(info: Mapping, encoding: str) -> np.ndarray:
    """16-bit depth in centimeters (SYNTHIA)."""
    return _centimetre_table(encoding)[_read_uint16(info['depth_map_path'])]


def read_cityscapes_disparity(info: Mapping, encoding: str) -> np.ndarray:
    """Official Cityscapes disparity: ``(value - 1) / 256`` pixels, 0 = invalid.

    ``metres = baseline * fx / disparity`` with the two numbers of the camera file.
    """
    if 'camera_path' not in info:
        raise ValueError(
            "data_prefix.camera_path is missing: the disparity of depth='official' needs the "
            'camera files for its meters.'
        )
    camera = read_cityscapes_camera(info['camera_path'], 'camera_path')
    table = _stereo_table(encoding, camera.number('baseline') * camera.fx)
    return table[_read_uint16(info['depth_map_path'])]


def read_mat_metres(info: Mapping, encoding: str) -> np.ndarray:
    """MATLAB file with meters under the key ``depth_map`` (Cityscapes stereo depth)."""
    return DEPTH_ENCODINGS[encoding](_read_mat(info['depth_map_path']))


def _read_mat(path: str) -> np.ndarray:
    """Meters of a MATLAB file, float32, (H, W)."""
    data = read_intact(path, 'depth_map_path')
    try:
        # MATLAB stores whole numbers of any type in 8 or 16 bits; mat_dtype gives their type.
        content = loadmat(io.BytesIO(data), mat_dtype=True)
    except Exception as error:  # SciPy raises a dozen types for broken files
        raise ValueError(
            f'depth_map_path: {path} cannot be read as a MATLAB file ({error}). Restore it; a file '
            'of version 7.3 has to be saved again with -v7.'
        ) from error
    if DEPTH_MAT_KEY not in content:
        found = sorted(key for key in content if not key.startswith('__'))
        raise ValueError(
            f'depth_map_path: {path} has no key {DEPTH_MAT_KEY!r}, only {found}. Save the meters '
            'under that key.'
        )
    metres = content[DEPTH_MAT_KEY]
    if issparse(metres):
        raise ValueError(
            f'depth_map_path: {DEPTH_MAT_KEY!r} in {path} is a sparse matrix. Save it in full: '
            'full(depth_map) in MATLAB, depth_map.toarray() in Python.'
        )
    if metres.ndim != 2 or metres.dtype.kind not in 'fui':
        raise ValueError(
            f'depth_map_path: {DEPTH_MAT_KEY!r} in {path} has shape {metres.shape} and dtype '
            f'{metres.dtype}, but meters are a matrix (H, W) of numbers.'
        )
    if metres.dtype.kind != 'f':
        raise ValueError(
            f'depth_map_path: {DEPTH_MAT_KEY!r} in {path} has the dtype {metres.dtype} and the '
            f'median {np.median(metres):g}. Whole numbers are centimeters or millimeters as a '
            "rule; meters are floats. Divide by 100 or 1000 and save them with dtype 'float32'."
        )
    return metres.astype(np.float32)


def stored_metres(info: Mapping) -> np.ndarray | None:
    """The numbers of a depth file as meters, whether or not they can be a depth.

    Args:
        info: As the readers of :data:`DEPTH_FILES` get it.

    Returns:
        Float, (H, W), meters; None for a kind without unit.
    """
    path, kind = info['depth_map_path'], info['depth_file']
    if kind == 'mat_metres':
        return _read_mat(path)
    if kind == 'png_centimetres':
        return decode_centimetres(_read_uint16(path))
    return None


DEPTH_FILES: Mapping[str, Callable[[Mapping, str], np.ndarray]] = {
    'png_disparity': read_png_disparity,
    'png_centimetres': read_png_centimetres,
    'mat_metres': read_mat_metres,
    'cityscapes_disparity': read_cityscapes_disparity,
}
"""File kind -> ``reader(data_info, encoding)``, which returns inverse depth, float32, (H, W)."""


@lru_cache
def _centimetre_table(encoding: str) -> np.ndarray:
    return DEPTH_ENCODINGS[encoding](decode_centimetres(np.arange(65536)))


@lru_cache(maxsize=16)
def _stereo_table(encoding: str, focal_baseline: float) -> np.ndarray:
    with np.errstate(divide='ignore'):  # disparity 0 is at infinity
        metres = focal_baseline / decode_cityscapes_disparity(np.arange(65536))
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
