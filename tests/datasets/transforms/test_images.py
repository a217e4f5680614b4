# Licensed under the Apache License 2.0, see LICENSE.
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmseg_depthuda.datasets.transforms.images import decode_image


def decode(path):
    return decode_image(path.read_bytes(), str(path), 'seg_map_path')


def test_palette_png_keeps_indices(files, label_ids):
    path = files.palette_png('a.png', label_ids)
    np.testing.assert_array_equal(decode(path), label_ids)


def test_palette_png_of_few_bits_keeps_indices(files):
    indices = (np.arange(60) % 4).astype(np.uint8).reshape(6, 10)
    image = Image.fromarray(indices)
    image.putpalette([9, 9, 9, 8, 8, 8, 7, 7, 7, 6, 6, 6])
    image.save(files.root / 'a.png', bits=2)
    np.testing.assert_array_equal(decode(files.root / 'a.png'), indices)


def test_one_bit_png_is_not_stretched(files):
    mask = (np.arange(60) % 3 == 0).reshape(6, 10)
    Image.fromarray(mask).save(files.root / 'a.png')
    decoded = decode(files.root / 'a.png')
    np.testing.assert_array_equal(decoded, mask.astype(np.uint8))
    assert decoded.dtype == np.uint8


def test_16_bit_values_survive_in_one_and_three_channels(files, depth16):
    np.testing.assert_array_equal(decode(files.png('a.png', depth16)), depth16)
    three = np.stack([depth16, depth16 // 2, depth16 // 3], axis=-1)
    np.testing.assert_array_equal(decode(files.png('b.png', three)), three)


def test_two_bit_gray_is_an_error(files, tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
        )

    header = struct.pack('>IIBBBBB', 4, 1, 2, 0, 0, 0, 0)  # 4x1, 2 bits, gray
    pixels = zlib.compress(bytes([0, 0b00011011]))
    path = tmp_path / 'a.png'
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    )
    with pytest.raises(ValueError, match=r'seg_map_path: .*a.png is a PNG of 2 bits'):
        decode(path)


@pytest.mark.parametrize('palette', [False, True])
def test_damaged_file_is_an_error(files, palette):
    noise = np.random.default_rng(0).integers(256, size=(64, 64), dtype=np.uint8)
    path = (files.palette_png if palette else files.png)('a.png', noise)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r'seg_map_path: .*a.png is not a readable image'):
        decode(path)


def test_text_is_not_an_image(tmp_path):
    path = tmp_path / 'a.png'
    path.write_text('404: not found')
    with pytest.raises(ValueError, match='not a readable image'):
        decode(path)
