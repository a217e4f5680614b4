# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.adaptation.spatial_prior import (
    component_thresholds,
    confident_labels,
    keep_large_components,
)
from mmseg_depthuda.apps.benchmarking.depth_distribution import plain_search

# Class weights N / (C * N_c) of the release, which hold the source's pixel counts.
WEIGHTS_16 = [0.327, 0.313, 0.206, 22.427, 22.558, 5.811, 155.643, 59.528, 0.586, 0.882, 1.423]
WEIGHTS_16 += [12.871, 1.488, 3.955, 29.164, 27.563]
WEIGHTS_7 = [0.349, 0.462, 11.576, 1.325, 1.993, 3.216, 3.192]
A = [3165, 3311, 5000, 89, 89, 219, 50, 61, 1788, 1202, 762, 123, 730, 302, 78, 81]


@pytest.mark.parametrize(
    ('weights', 'base', 'spread', 'published'),
    [
        (WEIGHTS_16, 50, 4950, A),
        (WEIGHTS_7, 100, 900, [1000, 772, 100, 316, 234, 173, 173]),
        (WEIGHTS_7, 50, 50, [100, 87, 50, 62, 57, 54, 54]),
    ],
)
def test_published_thresholds(weights, base, spread, published):
    found = component_thresholds(1 / np.array(weights), base, spread)
    np.testing.assert_allclose(found, published, rtol=0.002, atol=1)


def test_thresholds_of_equally_common_classes():
    np.testing.assert_array_equal(component_thresholds([7, 7], 50, 100), [50, 50])
    for wrong in ([0, 0], [-1, 3], [np.nan, 1], [[1, 2]]):
        with pytest.raises(ValueError, match='counts of the classes'):
            component_thresholds(wrong, 50, 100)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 23), st.integers(1, 23)),
    st.lists(st.floats(0, 12), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_components_are_those_of_a_plain_search(size, thresholds, seed):
    label = np.random.default_rng(seed).choice([0, 1, 2, 255], size, p=[0.4, 0.3, 0.2, 0.1])
    label = label.astype(np.uint8)
    np.testing.assert_array_equal(
        keep_large_components(label, thresholds), plain_search(label, thresholds)
    )


def test_corners_connect_and_the_threshold_is_reached():
    label = np.array([[0, 1, 1], [1, 0, 1], [255, 255, 0]], dtype=np.uint8)
    ignored = np.where(label == 0, 0, 255)
    np.testing.assert_array_equal(keep_large_components(label, [3, 5]), ignored)
    np.testing.assert_array_equal(keep_large_components(label, [3, 4]), label)


def test_nothing_confident():
    label = np.zeros((3, 4), dtype=np.int64)
    confident = confident_labels(label, np.full((3, 4), np.nan))
    assert confident.dtype == np.uint8
    np.testing.assert_array_equal(keep_large_components(confident, [1]), np.full((3, 4), 255))


def test_confidence_at_the_threshold_suffices():
    label = np.array([[3, 4, 5]])
    found = confident_labels(label, np.array([[0.9, 0.89999, 1.0]]))
    np.testing.assert_array_equal(found, [[3, 255, 5]])


def test_bad_input():
    label = np.array([[0, 2]], dtype=np.uint8)
    with pytest.raises(ValueError, match='has the class 2, but there are thresholds of 2 classes'):
        keep_large_components(label, [1, 1])
    with pytest.raises(ValueError, match=r'\(H, W\) uint8, got int64'):
        keep_large_components(label.astype(np.int64), [1, 1, 1])
    with pytest.raises(ValueError, match='one shape'):
        confident_labels(label, np.zeros((2, 2)))
