# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest

from mmseg_depthuda.stereo import StereoPairError, check_rectified

from .conftest import plane_pair, waves


def moved(image, matrix):
    size = image.shape[1::-1]
    return cv2.warpAffine(image, np.float32(matrix), size, borderMode=cv2.BORDER_REPLICATE)


def test_rectified(street_pair, plane):
    check_rectified(*street_pair)
    check_rectified(*plane[:2])
    left, right, _ = plane_pair(0.0)  # all at infinity
    check_rectified(left, right)


@pytest.mark.parametrize('rows', [-2, 3])
def test_shifted_rows(street_pair, rows):
    left, right = street_pair
    with pytest.raises(StereoPairError, match=rf'lie {abs(rows)}\.\d pixels apart vertically'):
        check_rectified(left, moved(right, [[1, 0, 0], [0, 1, rows]]))


def test_rotated(street_pair):
    left, right = street_pair
    matrix = cv2.getRotationMatrix2D((128, 64), 2.5, 1)  # the median row offset is 0, its size not
    with pytest.raises(StereoPairError, match='not rectified'):
        check_rectified(left, moved(right, matrix))


def test_exchanged(street_pair, plane):
    for left, right, *_ in (street_pair, plane):
        with pytest.raises(StereoPairError, match='left and right are exchanged'):
            check_rectified(right, left)


def test_cropped_differently(plane):
    left, right, _ = plane  # disparities 3 to 12.5, one fourth below 5.4
    with pytest.raises(StereoPairError, match='cropped differently'):
        check_rectified(left, moved(right, [[1, 0, 6.4], [0, 1, 0]]))


def test_another_scene(street_pair):
    left, _ = street_pair
    with pytest.raises(StereoPairError, match='do not show the same scene'):
        check_rectified(left, waves(128, np.arange(256), 7))


@pytest.mark.parametrize('value', [0, 90, 255])
def test_constant(street_pair, value):
    constant = np.full_like(street_pair[0], value)
    with pytest.raises(StereoPairError, match='the left image has 0 corners'):
        check_rectified(constant, constant)
    with pytest.raises(StereoPairError, match='only 0 are found'):
        check_rectified(street_pair[0], constant)
