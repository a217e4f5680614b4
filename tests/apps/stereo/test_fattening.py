# Licensed under the Apache License 2.0, see LICENSE.
"""What a window sees of a surface ends where the image says that the surface ends."""

import numpy as np
import pytest

from mmseg_depthuda.apps.stereo.fattening import without_fattening
from mmseg_depthuda.apps.stereo.matching import match_stereo

from .conftest import plane_pair

SKYLINE = 20  # row of the first pixel of the house


def house(sky=200, wall=60, fattened=4):
    """A house under an unknown sky, whose disparity reaches ``fattened`` rows into the sky."""
    image = np.full((48, 40, 3), wall, np.uint8)
    image[:SKYLINE] = sky
    disparity = np.full(image.shape[:2], 5, np.float32)
    disparity[: SKYLINE - fattened] = np.nan
    return disparity, image


@pytest.mark.parametrize('fattened', [0, 1, 4])
def test_disparity_ends_at_the_skyline(fattened):
    disparity, image = house(fattened=fattened)
    before = disparity.copy()
    found = without_fattening(disparity, image, 4)
    assert np.isnan(found[:SKYLINE]).all()
    assert (found[SKYLINE:] == 5).all()
    np.testing.assert_array_equal(disparity, before)


def test_inside_a_surface_everything_stays():
    disparity, image = house()
    image[SKYLINE + 4 : SKYLINE + 8] = 200  # windows that show the sky
    assert (without_fattening(disparity, image, 4)[SKYLINE:] == 5).all()


def test_without_contrast_nothing_changes():
    # 34 gray values in each of three channels are a distance of 59.
    disparity, image = house(sky=94, wall=60)
    np.testing.assert_array_equal(without_fattening(disparity, image, 4), disparity)
    disparity, image = house(sky=95, wall=60)
    assert np.isnan(without_fattening(disparity, image, 4)[:SKYLINE]).all()


def test_small_gaps_take_nothing_along():
    disparity, image = house()
    disparity[:] = 5
    disparity[10:14, 10:14] = np.nan
    image[9:15, 9:15] = 60
    np.testing.assert_array_equal(without_fattening(disparity, image, 4), disparity)


@pytest.mark.parametrize('known', [0.0, np.nan])
def test_all_known_or_all_unknown(known):
    disparity = np.full((20, 30), known, np.float32)
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    np.testing.assert_array_equal(without_fattening(disparity, image, 4), disparity)


def test_sky_above_a_textured_wall():
    left, right, truth = plane_pair(6)
    sky = 48
    for image in (left, right):
        image[:] = image // 2
        image[:sky] = 230
    found = match_stereo(left, right, 24)
    assert not found[:sky].any()  # the windows that matched reach 3 of these 48 rows
    seen = found[sky:, 8:]
    assert (seen > 0).mean() > 0.99
    assert np.abs(seen - truth[sky:, 8:])[seen > 0].max() < 0.5
