# Licensed under the Apache License 2.0, see LICENSE.
"""Decoding of pictures, for every tool and transform. The rules are in ``docs/data.md``."""

import io
import logging

import cv2
import numpy as np
from mmengine.logging import print_log
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from ..file_integrity import JPEG_START, PNG_START

try:
    from kornia_rs.io import ImageDecoder
except ImportError:  # before kornia_rs 0.2
    from kornia_rs import ImageDecoder  # type: ignore[no-redef]

_ORIENTATION, _BANDS, _EXTRA_BANDS = 274, 277, 338  # tags of EXIF and TIFF
_ALPHA = ((1,), (2,))  # premultiplied or not
_COLOR = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
_said: set[str] = set()


def decode_picture(data: bytes, path: str, key: str) -> np.ndarray:
    """Decode a picture as the networks take it.

    Gray becomes three equal channels and alpha is dropped. The pixels are those stored in the
    file, not turned by its EXIF orientation: labels and depth are stored in that grid.

    Args:
        data: The file.
        path: Its path, for the error message.
        key: Where the path came from (``'img_path'``, ...), for the error message.

    Returns:
        uint8, (H, W, 3), BGR.

    Raises:
        ValueError: If it is not an image, is damaged, holds several pictures, other than 8 bits per
            channel, or other bands than gray or color and alpha.
    """
    image: np.ndarray | None
    if data.startswith(JPEG_START):
        image = _decode_jpeg(data, path, key)
    elif data.startswith(PNG_START):
        image = _decode_png(data, path, key)
    else:
        image = _decode_other(data, path, key)
    if image is None:
        raise ValueError(f'{key}: {path} is not a readable image{_what_it_is(data)}.')
    return image


def _decode_jpeg(data: bytes, path: str, key: str) -> np.ndarray:
    """Decode by kornia: OpenCV and Pillow silently turn damaged data into gray areas."""
    _say_orientation(data, path)
    try:
        return cv2.cvtColor(np.asarray(ImageDecoder().decode(data)), cv2.COLOR_RGB2BGR)
    except Exception as error:  # the decoder has no type of its own
        if _mode(data) in ('CMYK', 'YCCK'):
            raise _bands_error('CMYK colors', path, key) from error
        raise ValueError(
            f'{key}: {path} is a JPEG with damaged data, which other programs show with gray or '
            'shifted areas. Restore it from the dataset archive; if it looks right, save it again.'
        ) from error


def _decode_png(data: bytes, path: str, key: str) -> np.ndarray | None:
    if data[24:25] == b'\x10':  # bits per channel
        _check_dtype(data, path, key)
    if b'acTL' in data[:256]:
        raise _pages_error('an animation', path, key)
    _say_orientation(data, path)
    return _imdecode(data, _COLOR)


def _decode_other(data: bytes, path: str, key: str) -> np.ndarray | None:
    if not data.startswith(b'BM') and data[8:12] != b'WEBP':  # these have 8 bits
        _check_dtype(data, path, key)
    try:
        with Image.open(io.BytesIO(data)) as image:
            pages = getattr(image, 'n_frames', 1)
            if pages > 1:
                raise _pages_error(f'{pages} pictures', path, key)
            _say_orientation(data, path)
            if not isinstance(image, TiffImageFile):
                return _imdecode(data, _COLOR)
            bands = image.tag_v2.get(_BANDS, 1)
            if bands - (image.tag_v2.get(_EXTRA_BANDS) in _ALPHA) not in (1, 3):
                raise _bands_error(f'{bands} bands', path, key)
            # OpenCV multiplies by alpha and leaves damaged parts black.
            return np.ascontiguousarray(np.asarray(image.convert('RGB'))[:, :, ::-1])
    except Image.UnidentifiedImageError:
        return None
    except OSError as error:
        raise ValueError(f'{key}: {path} is damaged ({error}). Restore it.') from error


def _check_dtype(data: bytes, path: str, key: str) -> None:
    stored = _imdecode(data, cv2.IMREAD_UNCHANGED)
    if stored is not None and stored.dtype != np.uint8:
        raise ValueError(
            f'{key}: {path} holds {stored.dtype} values up to {stored.max()} rather than 8-bit '
            'ones (uint8), and 16-bit and float files do not say which value is white. Convert '
            'the images to 8 bits by the range of the camera: '
            'cv2.convertScaleAbs(image, alpha=255 / 4095) for 12 bits.'
        )


def _imdecode(data: bytes, flags: int) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None


def _say_orientation(data: bytes, path: str) -> None:
    """Warn of an EXIF orientation, once per process: most users do not know of it."""
    if 'orientation' in _said or b'Exif' not in data[:65536] and data[:2] not in (b'II', b'MM'):
        return
    with Image.open(io.BytesIO(data)) as image:
        orientation = image.getexif().get(_ORIENTATION, 1)
    if orientation != 1:
        _said.add('orientation')
        print_log(
            f'{path} asks viewers to turn it (EXIF orientation {orientation}). Its pixels are '
            'taken as stored, here and in other files, because labels and depth are stored in that '
            'grid. To turn pictures for good: PIL.ImageOps.exif_transpose.',
            'current',
            logging.WARNING,
        )


def _pages_error(what: str, path: str, key: str) -> ValueError:
    return ValueError(f'{key}: {path} holds {what}. Save each in a file of its own.')


def _bands_error(bands: str, path: str, key: str) -> ValueError:
    return ValueError(
        f'{key}: {path} holds {bands}, but networks take gray or RGB, with or without a band '
        "declared as alpha. Save three bands, or PIL.Image.open(path).convert('RGB') of CMYK."
    )


def _mode(data: bytes) -> str | None:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.mode
    except OSError:
        return None


def _what_it_is(data: bytes) -> str:
    """What may be under an image's name by mistake, for the message."""
    head = data[:512].lstrip().lower()
    if head.startswith((b'<!doctype html', b'<html', b'<?xml', b'<head')):
        return ': it is a web page, so its download has failed. Download it again'
    if head.startswith(b'version https://git-lfs'):
        return ': it is a pointer of Git LFS. Fetch the file with `git lfs pull`'
    return '. Restore it from the dataset archive'
