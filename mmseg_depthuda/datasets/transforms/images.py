# Licensed under the Apache License 2.0, see LICENSE.
"""Decoding of image files whose pixel values are data, not color."""

import io
import struct

import cv2
import numpy as np
from PIL import Image

from ..file_integrity import PNG_START

_GRAY, _PALETTE = 0, 3  # PNG color types


def decode_image(data: bytes, path: str, key: str) -> np.ndarray:
    """Decode an image and keep its stored values.

    OpenCV turns the indices of a palette PNG into colors and stretches 1-bit values to 0 and 255;
    Pillow keeps both, but loses 16-bit values of three channels. So each of them decodes the files
    whose values the other would change.

    Args:
        data: The file.
        path: Its path, for the error message.
        key: Where the path came from (``'seg_map_path'``, ...), for the error message.

    Returns:
        (H, W) or (H, W, C) in the type of the file; channels as OpenCV orders them (BGR).

    Raises:
        ValueError: If it is not an image, or is damaged.
    """
    bit_depth, color_type = _png_format(data)
    if color_type == _GRAY and bit_depth in (2, 4):
        raise ValueError(
            f'{key}: {path} is a PNG of {bit_depth} bits per pixel, which decoders stretch to '
            'other values. Save it again with 8 bits.'
        )
    if color_type == _PALETTE or bit_depth == 1 or _is_indexed(data):
        try:
            return np.asarray(Image.open(io.BytesIO(data))).astype(np.uint8, copy=False)
        except OSError as error:
            raise _damaged(path, key) from error
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise _damaged(path, key)
    return image


def _damaged(path: str, key: str) -> ValueError:
    return ValueError(
        f'{key}: {path} is not a readable image. Restore it from the dataset archive.'
    )


def _is_indexed(data: bytes) -> bool:
    """Whether a BMP, GIF or TIFF has a palette or 1 bit per pixel."""
    if data[:2] not in (b'BM', b'GI', b'II', b'MM'):
        return False
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.mode in ('P', '1')
    except OSError:  # a TIFF that only OpenCV reads, of 64-bit floats for example
        return False


def _png_format(data: bytes) -> tuple[int, int]:
    """Bit depth and color type from the header chunk, (0, -1) if it is no PNG."""
    if not data.startswith(PNG_START) or len(data) < 26:
        return 0, -1
    return struct.unpack_from('BB', data, 24)
