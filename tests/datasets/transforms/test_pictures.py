# Licensed under the Apache License 2.0, see LICENSE.
import io

import cv2
import numpy as np
import pytest
from PIL import Image

from mmseg_depthuda.datasets.transforms import pictures
from mmseg_depthuda.datasets.transforms.pictures import decode_picture

RGB = np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)
GRAY = RGB[:, :, 0]


def saved(image, kind, mode=None, **options):
    buffer = io.BytesIO()
    Image.fromarray(image, mode).save(buffer, kind, **options)
    return buffer.getvalue()


def refused(data, message):
    with pytest.raises(ValueError, match=f'img_path: a/b.jpg .*{message}'):
        decode_picture(data, 'a/b.jpg', 'img_path')


@pytest.mark.parametrize('options', [{}, dict(subsampling=0), dict(progressive=True)])
def test_jpeg_as_pillow_decodes_it(options):
    data = saved(RGB, 'JPEG', **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))[:, :, ::-1]
    np.testing.assert_array_equal(decode_picture(data + b'tail', 'a.jpg', 'img_path'), expected)


@pytest.mark.parametrize('kind', ['PNG', 'TIFF', 'WEBP'])
def test_gray_becomes_three_channels_and_alpha_is_dropped(kind):
    alpha = np.arange(GRAY.size, dtype=np.uint8).reshape(GRAY.shape)
    for stored, expected in (
        (RGB, RGB[:, :, ::-1]),
        (np.dstack([RGB, alpha]), RGB[:, :, ::-1]),
        (GRAY, np.dstack([GRAY] * 3)),
        (np.dstack([GRAY, alpha]), np.dstack([GRAY] * 3)),
    ):
        data = saved(stored, kind, lossless=True, exact=True)
        image = decode_picture(data, 'a', 'img_path')
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize('damage', [bytes(600), b'\xff' * 600, b'\xff\xd9', RGB.tobytes()[:600]])
@pytest.mark.parametrize('progressive', [False, True])
def test_jpeg_damaged_in_its_middle(damage, progressive):
    data = saved(RGB, 'JPEG', progressive=progressive)
    middle = len(data) // 2
    refused(data[:middle] + damage + data[middle + len(damage) :], 'is a JPEG with damaged data')


def test_bands_that_are_no_color():
    four = np.dstack([RGB, GRAY])
    refused(saved(four, 'JPEG', 'CMYK'), 'holds CMYK colors')
    refused(saved(four, 'TIFF', 'CMYK'), 'holds 4 bands')
    refused(saved(four, 'TIFF', 'RGBX'), 'holds 4 bands')  # the fourth says that it is no alpha
    refused(cv2.imencode('.tif', four)[1].tobytes(), 'holds 4 bands')  # it says nothing


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_other_than_eight_bits(suffix):
    refused(cv2.imencode(suffix, np.full((2, 3, 3), 4080, np.uint16))[1].tobytes(), 'up to 4080')
    if suffix == '.tif':
        refused(cv2.imencode(suffix, np.ones((2, 3, 3), np.float32))[1].tobytes(), 'float32')


@pytest.mark.parametrize('kind', ['PNG', 'WEBP', 'TIFF', 'GIF'])
def test_several_pictures_in_a_file(kind):
    pages = dict(save_all=True, append_images=[Image.fromarray(255 - RGB)])
    refused(saved(RGB, kind, **pages), 'holds (2 pictures|an animation)')


def test_files_that_are_no_images():
    refused(b'\n<!DOCTYPE html><html>404</html>', 'it is a web page')
    refused(b'version https://git-lfs.github.com/spec/v1\n', 'git lfs pull')
    damaged = saved(RGB, 'TIFF', compression='tiff_lzw')
    refused(damaged[:900] + bytes(900) + damaged[1800:], 'is damaged')


def test_exif_orientation_is_ignored_and_said_once(monkeypatch):
    monkeypatch.setattr(pictures, '_said', set())
    said = []
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    monkeypatch.setattr(pictures, 'print_log', lambda text, *_: said.append(text.split()[0]))
    for name in ('a.jpg', 'b.jpg'):
        data = saved(RGB, 'JPEG', exif=exif)
        assert decode_picture(data, name, 'img_path').shape == RGB.shape
    assert said == ['a.jpg']
