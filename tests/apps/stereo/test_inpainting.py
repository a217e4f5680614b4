# Licensed under the Apache License 2.0, see LICENSE.
"""Gaps are filled with what geometry says, or not at all."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.apps.stereo.inpainting import inpaint_disparity
from mmseg_depthuda.apps.stereo.matching import matched_disparity

from .conftest import box_pair

NAN = np.float32(np.nan)


def gray(shape, value=100):
    return np.full((*shape, 3), value, np.uint8)


def in_row(values, image_row=None, max_gap=10):
    """Inpaint one row; rows above and below are unknown, so that columns say nothing."""
    disparity = np.full((3, len(values)), NAN, np.float32)
    disparity[1] = values
    image = gray(disparity.shape)
    if image_row is not None:
        image[:] = np.asarray(image_row, np.uint8)[None, :, None]
    return inpaint_disparity(disparity, image, max_gap)[1]


def test_surface_is_interpolated():
    found = in_row([5, NAN, NAN, NAN, 5.8, 5.8])
    np.testing.assert_allclose(found, [5, 5.2, 5.4, 5.6, 5.8, 5.8], rtol=1e-6)


def test_gap_that_is_too_long_stays():
    row = [5, *[NAN] * 4, 5]
    assert not np.isnan(in_row(row, max_gap=4)).any()
    assert np.isnan(in_row(row, max_gap=3)[1:5]).all()


def test_nothing_is_extrapolated():
    found = in_row([NAN, NAN, 5, 5, NAN])
    np.testing.assert_array_equal(np.isnan(found), [True, True, False, False, True])


def test_occlusion_gets_the_background():
    found = in_row([3, 3, *[NAN] * 6, 9, 9])  # hides 9 - 3 pixels
    np.testing.assert_array_equal(found, [3] * 8 + [9, 9])


def test_step_that_hides_nothing_stays_open():
    """At the right side of the foreground, everything is seen by both cameras."""
    assert np.isnan(in_row([9, 9, *[NAN] * 6, 3, 3])[2:8]).all()


def test_gap_wider_than_an_occlusion_stays_open():
    assert np.isnan(in_row([3, 3, *[NAN] * 11, 9, 9])[2:13]).all()
    assert not np.isnan(in_row([3, 3, *[NAN] * 10, 9, 9])).any()  # four for the window


def test_surface_behind_an_edge_stays_open():
    """Between two edges of the image lies something else: a patch of sky, say."""
    bright = [100] * 8 + [200] * 8 + [100] * 8
    row = [5] * 4 + [NAN] * 16 + [5] * 4
    found = in_row(row, bright, max_gap=16)
    assert np.isnan(found[9:15]).all()
    assert not np.isnan(found[[4, 5, 18, 19]]).any()
    assert not np.isnan(in_row(row, max_gap=16)).any()


def test_background_ends_at_an_edge():
    found = in_row([3] * 8 + [NAN] * 10 + [13] * 6, [100] * 12 + [220] * 12)
    assert (found[8:10] == 3).all()
    assert np.isnan(found[14:18]).all()


def test_columns_are_filled_too_and_the_shorter_gap_counts():
    disparity = np.full((5, 9), NAN, np.float32)
    disparity[2, [0, 8]] = 4
    disparity[[1, 3], 4] = 4.5, 4.7
    found = inpaint_disparity(disparity, gray(disparity.shape), 8)
    assert found[2, 4] == pytest.approx(4.6)
    assert found[2, 2] == 4


def test_occlusions_are_along_rows_only():
    disparity = np.full((8, 3), NAN, np.float32)
    disparity[:2], disparity[6:] = 3, 9
    assert np.isnan(inpaint_disparity(disparity, gray(disparity.shape), 8)[2:6]).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(2, 30), st.floats(0, 1))
def test_known_is_unchanged_and_filled_lies_between(seed, height, width, unknown):
    rng = np.random.default_rng(seed)
    disparity = rng.uniform(0, 12, (height, width)).astype(np.float32).round(1)
    disparity[rng.random(disparity.shape) < unknown] = np.nan
    image = rng.integers(90, 110, (height, width, 3), np.uint8)
    given_ = disparity.copy()
    found = inpaint_disparity(disparity, image, 8)
    np.testing.assert_array_equal(disparity, given_)
    known = ~np.isnan(disparity)
    np.testing.assert_array_equal(found[known], disparity[known])
    for v, u in zip(*np.nonzero(~known & ~np.isnan(found)), strict=True):
        # Never beyond the ends of the gap, in the row or in the column.
        spans = []
        for line, place in ((disparity[v], u), (disparity[:, u], v)):
            there = np.flatnonzero(~np.isnan(line))
            before, after = there[there < place], there[there > place]
            if len(before) and len(after):
                spans.append(sorted([line[before[-1]], line[after[0]]]))
        assert any(low - 1e-4 <= found[v, u] <= high + 1e-4 for low, high in spans)


def test_shadow_of_a_box():
    left, right, truth, visible = box_pair(4, 16)
    matched = matched_disparity(left, right, 24)
    # The windows that match (5x5 after a median of 5x5) reach 4 pixels into the shadow.
    deep = cv2.erode((~visible).astype(np.uint8), np.ones((9, 9))) > 0
    assert deep.sum() == 4 * 40  # of 12 x 48; what lies beyond the left border counts as seen
    assert np.isnan(matched[deep]).all()
    # The wall between the two textures has no edge: the image is made uniform.
    found = inpaint_disparity(matched, gray(truth.shape))
    shadow = ~visible & (np.arange(truth.shape[1]) > 30)
    assert shadow.sum() == 12 * 48
    filled = shadow & np.isnan(matched) & ~np.isnan(found)
    assert filled.sum() > 0.9 * shadow.sum()
    # Of a step of 12. A gap of a row ends where the window still sees a little of the box.
    error = np.abs(found - truth)[filled]
    assert np.median(error) < 0.25
    assert error.max() < 1
    assert np.isnan(found[:, :2]).all()  # the strip that the right camera does not see


def test_sizes_must_agree():
    with pytest.raises(ValueError, match='The image is'):
        inpaint_disparity(np.zeros((4, 5), np.float32), gray((4, 6)))
