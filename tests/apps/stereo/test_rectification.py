# Licensed under the Apache License 2.0, see LICENSE.
"""Rectified pairs of all kinds are accepted, other images refused with the reason."""

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.stereo import StereoPairError, check_rectified, match_stereo
from mmseg_depthuda.apps.stereo.rectification import matching_convinces
from mmseg_depthuda.apps.street_world import StreetScene

from .conftest import plane_pair, waves


def moved(image, matrix):
    size = image.shape[1::-1]
    return cv2.warpAffine(image, np.float32(matrix), size, borderMode=cv2.BORDER_REPLICATE)


def lowered(image, rows):
    return moved(image, [[1, 0, 0], [0, 1, rows]])


def rotated(image, degrees):
    height, width = image.shape[:2]
    return moved(image, cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1))


def windows(width, shift=0):
    """A house front that repeats itself every 24 columns and 28 rows, with sensor noise."""
    rows, columns = np.indices((width // 2, width))
    bright = ((columns + shift) % 24 < 10) & (rows % 28 < 16)
    noise = np.random.default_rng(shift).normal(0, 4, (*bright.shape, 3))
    return (60 + 120 * bright[..., None] + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope='module', params=[(256, 128), (512, 256)], ids=['256', '512'])
def streets(request):
    """Left and right images of four scenes of both domains."""
    scenes = [
        StreetScene(4, domain, i, request.param) for domain in ('sim', 'real') for i in (0, 1)
    ]
    return [(scene.view().image, scene.view(right=True).image) for scene in scenes]


def test_streets(streets):
    for left, right in streets:
        check_rectified(left, right)


@pytest.mark.parametrize(
    ('width', 'share'),
    [*((256, share) for share in (0, 1 / 16, 1 / 8, 1 / 4, 1 / 3)), (512, 1 / 16), (1024, 1 / 3)],
)
def test_planes_at_any_disparity(width, share):
    for slope in (0.0, 0.1):
        left, right, _ = plane_pair(share * width, slope, size=(width // 4, width))
        check_rectified(left, right)


def test_far_away():
    left, right, _ = plane_pair(0.0)
    check_rectified(left, right)
    check_rectified(left, lowered(right, 0.4))  # what a good calibration leaves


@pytest.mark.parametrize('shift', [0, 5, 7, 13, 20, 22])
def test_repetitive_texture(shift):
    check_rectified(windows(256), windows(256, shift))


def test_stripes_and_darkness_are_not_judged(streets):
    rows = np.full((128, 1), 128.0)
    stripes = [rows + 80 * np.sin(2 * np.pi * (np.arange(256) + d) / 16) for d in (0, 5)]
    check_rectified(*(np.repeat(i[..., None].astype(np.uint8), 3, axis=2) for i in stripes))
    left, right = streets[0]
    check_rectified(left // 12, right // 12)


def test_noise_and_exposure(streets):
    rng = np.random.default_rng(0)
    left, right = streets[2]
    left, right = (
        (i * gain + rng.normal(0, 10, i.shape)).clip(0, 255).astype(np.uint8)
        for i, gain in ((left, 1), (right, 0.7))
    )
    check_rectified(left, right)


@pytest.mark.parametrize('rows', [-2, 2])
def test_shifted_rows(streets, rows):
    for left, right in streets:
        with pytest.raises(StereoPairError, match=r'vertically \(median\): the pair is not rect'):
            check_rectified(left, lowered(right, rows))


def test_row_offset_is_that_of_the_original_image(streets):
    left, right = (cv2.resize(i, (2048, 1024)) for i in streets[1])
    with pytest.raises(StereoPairError, match=r'lie (5\.[5-9]|6\.[0-5]) pixels apart'):
        check_rectified(left, lowered(right, 6))


@pytest.mark.parametrize('degrees', [-1, 1])
def test_rotated(streets, degrees):
    for left, right in streets:
        with pytest.raises(StereoPairError, match='not rectified'):
            check_rectified(left, rotated(right, degrees))


def test_exchanged(streets, plane):
    for left, right in (*streets, plane[:2]):
        with pytest.raises(StereoPairError, match='left and right are exchanged'):
            check_rectified(right, left)


def test_cropped_differently(plane):
    left, right, _ = plane  # disparities 3 to 12.5, one third of them below 6.2
    with pytest.raises(StereoPairError, match='cropped differently'):
        check_rectified(left, moved(right, [[1, 0, 7.2], [0, 1, 0]]))


def test_another_scene(streets):
    (left, _), (_, right) = streets[:2]
    height, width = left.shape[:2]
    for other in (right, waves(height, np.arange(width), 7)):
        with pytest.raises(StereoPairError, match='^not a pair'):
            check_rectified(left, other)


@pytest.mark.parametrize('value', [0, 90, 255])
def test_constant(street_pair, value):
    constant = np.full_like(street_pair[0], value)
    with pytest.raises(StereoPairError, match='the left image is .* constant'):
        check_rectified(constant, constant)
    with pytest.raises(StereoPairError, match='^not a pair: .* only 0 look like'):
        check_rectified(street_pair[0], constant)


def test_matching_convinces_of_valid_pairs_only(streets):
    for left, right in streets[2:]:
        assert matching_convinces(left, right, match_stereo(left, right))
        # The gains of the cameras differ.
        darker = (0.8 * right).astype(np.uint8)
        assert matching_convinces(left, darker, match_stereo(left, darker))
        for other in (lowered(right, 1), lowered(right, 3), rotated(right, 1)):
            assert not matching_convinces(left, other, match_stereo(left, other))
        assert not matching_convinces(right, left, match_stereo(right, left))
