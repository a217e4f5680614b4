# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.monocular import pseudo_inverse_depth

SHAPE = 64, 128


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_pseudo_inverse_depth_is_the_encoding_of_corda(rng):
    depth = np.full(SHAPE, 20.0, np.float32)
    depth[:16] = np.inf
    values = pseudo_inverse_depth(depth, rng)
    assert values.dtype == np.uint16
    assert (values[:16] == 0).all()
    decoded = values[24:] / 256 + 1
    # 655.36 / 20.01, with an error of a few percent
    np.testing.assert_allclose(decoded, 32.75, rtol=0.2)
    assert 0 < np.std(decoded / 32.75) < 0.1


def test_pseudo_inverse_depth_saturates_near_and_vanishes_far(rng):
    depth = np.full(SHAPE, 1.0, np.float32)
    assert pseudo_inverse_depth(depth, rng).max() == 65535
    assert pseudo_inverse_depth(np.full(SHAPE, 5000.0, np.float32), rng).max() == 0
