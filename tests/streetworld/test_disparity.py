# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.streetworld.disparity import (
    depth_of_disparity,
    exact_disparity,
    occluded,
    pseudo_inverse_depth,
    stereo_disparity,
)
from mmseg_depthuda.streetworld.world import StreetScene

SHAPE = 64, 128


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def textured_image():
    return np.random.default_rng(1).integers(0, 255, (*SHAPE, 3)).astype(np.uint8)


def test_disparity_and_depth_by_hand():
    depth = np.array([[10.0, np.inf]], np.float32)
    disparity = exact_disparity(depth, fx=500, baseline=0.2)
    np.testing.assert_allclose(disparity, [[10, 0]])
    np.testing.assert_allclose(depth_of_disparity(disparity, 500, 0.2), [[10, 0]])


def test_occluded_by_hand():
    # Background at disparity 1, an object at disparity 4 in columns 6 and 7. The object arrives at
    # columns 2 and 3 of the right image, as do 3 and 4 of the background; column 0 leaves it.
    disparity = np.full((1, 10), 1.0, np.float32)
    disparity[0, 6:8] = 4
    assert occluded(disparity)[0].nonzero()[0].tolist() == [0, 3, 4]


def test_occluded_is_what_the_right_camera_does_not_see():
    scene = StreetScene(0, 'real', 1, (256, 128))
    left, right, camera = scene.rasterize(), scene.rasterize(right=True), scene.camera()
    disparity = exact_disparity(left.depth, camera.fx, camera.baseline)
    landing = np.arange(256) - disparity
    column = np.rint(landing).astype(int)
    seen = np.take_along_axis(right.depth, np.maximum(column, 0), axis=1)
    hidden = (column < 0) | (seen < 0.7 * left.depth)
    found = occluded(disparity)
    assert found[hidden].mean() > 0.9
    assert found[~hidden].mean() < 0.02


def test_stereo_disparity_is_quantised_noisy_and_centred(rng):
    disparity = np.full(SHAPE, 8.03, np.float32)
    matched = stereo_disparity(textured_image(), disparity, rng)
    found = matched[matched > 0]
    np.testing.assert_array_equal(found * 16, np.rint(found * 16))
    error = found - 8.03
    assert abs(error.mean()) < 0.05
    assert 0.06 < error.std() < 0.2


def test_stereo_disparity_is_missing_where_it_must_be(rng):
    disparity = np.full(SHAPE, 8.0, np.float32)
    disparity[:10] = 0.3  # far
    disparity[30:40, 60:75] = 20  # hides the twelve columns left of it
    image = textured_image()
    image[45:, 40:] = 128  # textureless
    matched = stereo_disparity(image, disparity, rng)
    assert (matched[:8] == 0).all()
    assert (matched[12:28, :8] == 0).all()  # outside the right image
    assert (matched[32:38, 49:58] == 0).all()
    assert (matched[52:, 48:] == 0).all()
    assert (matched[12:28, 12:] > 0).all()


def test_foreground_is_fattened(rng):
    disparity = np.full(SHAPE, 4.0, np.float32)
    disparity[20:40, 60:70] = 12
    matched = stereo_disparity(textured_image(), disparity, rng)
    assert matched[30, 70] == pytest.approx(12, abs=0.6)  # one pixel right of the object


def test_pseudo_inverse_depth_is_the_encoding_of_corda(rng):
    depth = np.full(SHAPE, 20.0, np.float32)
    depth[:16] = np.inf
    values = pseudo_inverse_depth(depth, rng)
    assert values.dtype == np.uint16
    assert (values[:16] == 0).all()
    decoded = values[24:] / 256 + 1
    # 655.36 / 20.01, with an error of a few per cent
    np.testing.assert_allclose(decoded, 32.75, rtol=0.2)
    assert 0 < np.std(decoded / 32.75) < 0.1


def test_pseudo_inverse_depth_saturates_near_and_vanishes_far(rng):
    depth = np.full(SHAPE, 1.0, np.float32)
    assert pseudo_inverse_depth(depth, rng).max() == 65535
    assert pseudo_inverse_depth(np.full(SHAPE, 5000.0, np.float32), rng).max() == 0
