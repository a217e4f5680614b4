# Licensed under the Apache License 2.0, see LICENSE.
"""Disparity of pairs whose disparity is known, and what must not be believed."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.apps.stereo.matching import (
    correlation,
    largest_disparity,
    left_right_consistent,
    match_stereo,
    matched_disparity,
    subpixel_refined,
)

from .conftest import box_pair, plane_pair, waves


@pytest.mark.parametrize('shift', [1.25, 4.5, 7.3, 20.8])
@pytest.mark.parametrize('block_size', [3, 5])
def test_subpixel_shift_of_a_plane(shift, block_size):
    left, right, truth = plane_pair(shift)
    found = match_stereo(left, right, max_disparity=24, block_size=block_size)
    assert found.dtype == np.float32
    seen = np.arange(left.shape[1]) >= shift + 2
    assert (found[:, seen] > 0).mean() > 0.97
    error = np.abs(found - truth)[found > 0]
    assert np.median(error) < 0.1
    assert np.quantile(error, 0.99) < 0.3
    # What the right image does not show is not known.
    assert not found[:, : int(shift) - 1].any()


def test_slanted_plane(plane):
    left, right, truth = plane
    found = match_stereo(left, right, max_disparity=16, inpaint=False)
    error = np.abs(found - truth)[found > 0]
    assert (found > 0).mean() > 0.85
    assert error.mean() < 0.2
    assert (error > 1).mean() < 0.01


@pytest.mark.parametrize(('gain', 'offset'), [(0.8, 0), (1.2, 0), (1, 25), (0.75, 20)])
def test_exposure_of_the_cameras_may_differ(gain, offset):
    left, right, truth = plane_pair(7.3)
    left = (0.7 * left.astype(float) + 30).astype(np.uint8)  # room for what follows
    right = (gain * (0.7 * right.astype(float) + 30) + offset).clip(0, 255).astype(np.uint8)
    found = match_stereo(left, right, 16)
    assert (found[:, 10:] > 0).mean() > 0.97
    assert np.abs(found - truth)[found > 0].mean() < 0.1


def test_images_of_any_width_get_a_range():
    left, right, truth = plane_pair(9.5, size=(64, 173))
    found = match_stereo(left, right)  # up to 173 / 16
    assert (found > 0).mean() > 0.8
    assert np.abs(found - truth)[found > 0].mean() < 0.2


def test_what_is_hidden_from_the_right_camera_is_not_matched():
    left, right, truth, visible = box_pair(4, 16)
    found = matched_disparity(left, right, 24)
    known = ~np.isnan(found)
    # Windows of 5x5 after a median of 5x5 reach 4 pixels over the edge of the shadow.
    inside = [cv2.erode(m.astype(np.uint8), np.ones((9, 9))) > 0 for m in (visible, ~visible)]
    assert inside[1].sum() > 100
    assert known[inside[0]].mean() > 0.99
    assert not known[inside[1]].any()
    error = np.abs(found - truth)
    # Farther from the outline of the box and from its shadow than a window reaches, nothing but
    # the own surface is seen.
    window = np.ones((9, 9))
    outline = cv2.dilate(truth, window) != cv2.erode(truth, window)
    shadow = cv2.dilate((~visible).astype(np.uint8), window) > 0
    assert error[known & ~outline & ~shadow].max() < 0.35
    # Beside it, the window may see either surface: it is the other one for a pixel at most.
    assert (error[known & outline] > 1).mean() < 0.04
    beside = cv2.dilate(truth, np.ones((5, 5))) != cv2.erode(truth, np.ones((5, 5)))
    assert not (known & ~beside & (error > 1)).any()


def test_noise_without_a_scene_is_not_matched():
    rng = np.random.default_rng(0)
    left, right, _ = plane_pair(6)
    sky = np.s_[:48]
    for image in (left, right):
        image[sky] = (200 + rng.normal(0, 3, image[sky].shape)).astype(np.uint8)
    found = match_stereo(left, right, 24)
    assert (found[:40] > 0).mean() < 0.02
    assert (found[56:, 10:] > 0).mean() > 0.97


def test_too_far_to_be_measured():
    left, right, _ = plane_pair(0.5)
    # 0.75 is the smallest disparity: 0.25 off, which is 3 standard deviations of the error here.
    assert (match_stereo(left, right, 16) > 0).mean() < 0.0027
    for disparity in (0.3, 0.4):
        assert not match_stereo(*plane_pair(disparity)[:2], 16).any()
    far = match_stereo(left, right, 16, min_disparity=0.2)
    assert (far > 0).mean() > 0.95
    assert abs(np.median(far[far > 0]) - 0.5) < 0.1
    # Beyond infinity, which no rectified pair shows, nothing is made up.
    assert not match_stereo(right, left, 16, min_disparity=0.2).any()


def test_result_does_not_depend_on_the_number_of_threads(street_pair):
    threads = cv2.getNumThreads()
    try:
        results = []
        for number in (1, 3):
            cv2.setNumThreads(number)
            results.append(match_stereo(*street_pair))
    finally:
        cv2.setNumThreads(threads)
    np.testing.assert_array_equal(*results)


def naive_consistency(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Hirschmüller's check, pixel by pixel."""
    height, width = left.shape
    consistent = np.zeros(left.shape, bool)
    for v in range(height):
        for u in range(width):
            partner = round(float(u - left[v, u]))
            if 0 <= partner < width:
                consistent[v, u] = abs(float(right[v, partner]) - float(left[v, u])) <= 1
    return consistent


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 20))
def test_consistency_is_that_of_a_loop(seed, height, width):
    rng = np.random.default_rng(seed)
    left, right = rng.integers(-48, 16 * 12, (2, height, width)) / np.float32(16)
    np.testing.assert_array_equal(
        left_right_consistent(left, right), naive_consistency(left, right)
    )


def test_correlation_is_that_of_numpy():
    columns = np.arange(40)
    a, b = (waves(20, columns + shift, 0)[..., 0].astype(np.float32) for shift in (0, 3))
    found = correlation(a, b, np.full((20, 40), 2, np.float32), 5)
    for v, u in ((2, 5), (10, 20), (17, 37)):
        windows = a[v - 2 : v + 3, u - 2 : u + 3], b[v - 2 : v + 3, u - 4 : u + 1]
        expected = np.corrcoef(windows[0].ravel(), windows[1].ravel())[0, 1]
        assert found[v, u] == pytest.approx(expected, abs=1e-3)


def test_refinement_of_a_ramp_is_exact():
    """On a straight ramp, the step is the whole error, up to half a pixel."""
    ramp = np.repeat(20 * np.arange(40, dtype=np.float32)[None], 16, axis=0)
    right = ramp + 20 * np.float32(3.3)  # the point in column u is in column u + 3.3 of the left
    everywhere = np.ones(ramp.shape, bool)
    for start, expected in ((3.0, 3.3), (3.6, 3.3), (2.0, 2.5)):
        disparity = np.full(ramp.shape, start, np.float32)
        found = subpixel_refined(ramp, right, disparity, everywhere, 5)
        assert found[4:12, 10:36] == pytest.approx(expected, abs=1 / 32)  # OpenCV's steps


def test_range_of_disparities():
    assert largest_disparity(2048) == 128
    assert largest_disparity(512) == 32
    assert largest_disparity(2048, 2262 * 0.21, nearest=5) == pytest.approx(2262 * 0.21 / 5)
    assert largest_disparity(512, 2262 * 0.21, nearest=0.1) == 256


GOOD = np.zeros((40, 60, 3), np.uint8)


@pytest.mark.parametrize(
    ('left', 'right', 'options', 'message'),
    [
        (GOOD, GOOD[:, :-1], {}, 'left is 60x40, right 59x40'),
        (GOOD[..., 0], GOOD, {}, r'left has shape \(40, 60\)'),
        (GOOD, GOOD.astype(np.float32), {}, 'right has shape .* dtype float32'),
        (GOOD, GOOD, dict(max_disparity=60), 'max_disparity must be'),
        (GOOD, GOOD, dict(block_size=4), 'block_size must be a positive odd number, got 4'),
        (GOOD, GOOD, dict(min_disparity=0), 'min_disparity must be positive'),
    ],
)
def test_bad_arguments(left, right, options, message):
    with pytest.raises(ValueError, match=message):
        match_stereo(left, right, **options)
