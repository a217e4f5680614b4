# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from mmseg.registry import TRANSFORMS
from PIL import Image


def load(path):
    return TRANSFORMS.build(dict(type='LoadImageFromFile')).transform(dict(img_path=str(path)))


def test_sixteen_bits_are_refused_with_the_largest_value(tmp_path):
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), np.full((2, 3, 3), 4080, np.uint16))
    with pytest.raises(ValueError, match=r'a\.png holds uint16 values up to 4080'):
        load(path)


def test_stored_pixels_are_kept_whatever_the_exif_orientation(tmp_path):
    path = tmp_path / 'a.jpg'
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new('RGB', (8, 16), (200, 0, 0)).save(path, exif=exif)
    assert load(path)['img'].shape == (16, 8, 3)
