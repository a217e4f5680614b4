# Licensed under the Apache License 2.0, see LICENSE.
"""Early detection of missing, empty and truncated files.

Image decoders differ, by format and by version, in whether a truncated file is an error or silently
gives a picture whose lower part is gray or black. The checks here look at the last bytes only, so
they cost microseconds.
"""

import io
from pathlib import Path

from PIL import Image

PNG_START, _PNG_END = b'\x89PNG\r\n\x1a\n', b'IEND'
JPEG_START, _JPEG_END = b'\xff\xd8\xff', b'\xff\xd9'
_TAIL = 1024


def read_intact(path: str | Path, key: str) -> bytes:
    """Read a file that must not be missing, empty or truncated.

    Args:
        path: The file.
        key: Where the path came from (``'seg_map_path'``, ...), for the error message.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, or a PNG or JPEG that ends early.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise _missing(path, key) from error
    _check(len(data), data[:8], data[-_TAIL:], path, key)
    return data


def _missing(path: str | Path, key: str) -> FileNotFoundError:
    return FileNotFoundError(
        f'{key}: {path} does not exist. It was there when the folder was listed, or never: restore '
        'it.'
    )


def _check(size: int, head: bytes, tail: bytes, path: str | Path, key: str) -> None:
    if size == 0:
        raise ValueError(f'{key}: {path} is empty (0 bytes). Restore it from the dataset archive.')
    truncated_png = head.startswith(PNG_START) and _PNG_END not in tail
    truncated_jpeg = head.startswith(JPEG_START) and _JPEG_END not in tail
    # Some cameras and editors append data after the end marker: only then is a full decoding worth
    # its time.
    if (truncated_png or truncated_jpeg) and not _pillow_decodes(path):
        raise ValueError(
            f'{key}: {path} is truncated ({size} bytes). Restore it from the dataset archive.'
        )


def _pillow_decodes(path: str | Path) -> bool:
    try:
        with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
            image.load()
    except OSError:
        return False
    return True
