# Licensed under the Apache License 2.0, see LICENSE.
"""Decoding of image files whose pixel values are data, not colour."""

import io
import struct

import cv2
import numpy as np
from PIL import Image

_GREY, _PALETTE = 0, 3  # PNG colour types


def decode_image(data: bytes, path: str, key: str) -> np.ndarray:
    """Decode an image and keep its stored values.

    OpenCV turns the indices of a palette PNG into colours and stretches 1-bit values to 0 and 255;
    Pillow keeps both, but loses 16-bit values of three channels. Each decodes what the other would
    spoil.

    Args:
        data: The file.
        path: Its path, for the error message.
        key: Where the path came from (``'seg_map_path'``, ...), for the error message.

    Returns:
        (H, W) or (H, W, C), uint8 or uint16; channels as OpenCV orders them (BGR).

    Raises:
        ValueError: If it is not an image, or is damaged.
    """
    bit_depth, colour_type = _png_format(data)
    if colour_type == _GREY and bit_depth in (2, 4):
        raise ValueError(
            f'{key}: {path} is a PNG of {bit_depth} bits per pixel, which decoders stretch to '
            'other values. Save it again with 8 bits.'
        )
    if colour_type == _PALETTE or bit_depth == 1:
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


def _png_format(data: bytes) -> tuple[int, int]:
    """Bit depth and colour type from the header chunk, (0, -1) if it is no PNG."""
    if data[:8] != b'\x89PNG\r\n\x1a\n' or len(data) < 26:
        return 0, -1
    return struct.unpack_from('BB', data, 24)
