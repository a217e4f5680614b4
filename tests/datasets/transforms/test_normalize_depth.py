# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmseg.registry import TRANSFORMS

from mmseg_depthuda.datasets.depth_encodings import decode_png_disparity
from mmseg_depthuda.datasets.transforms import NormalizeDepth


def normalized(depth, **options):
    transform = TRANSFORMS.build(dict(type='NormalizeDepth', **options))
    return transform(dict(gt_depth_map=depth, depth_map_path='a.png'))['gt_depth_map']


@given(arrays(np.float32, (3, 4), elements=st.sampled_from([0, 0.5, 1, 3, 1e3])))
def test_least_and_greatest_become_0_and_1_and_what_is_invalid_stays(depth):
    found = normalized(depth.copy())
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found > 0, depth > 0)
    values = depth[depth > 0].astype(np.float64)
    if values.size:
        expected = (values - values.min()) / (np.ptp(values) or 1)
        np.testing.assert_allclose(found[depth > 0], expected, rtol=1e-6, atol=1e-37)


def test_given_range_reads_the_share_of_the_maximum_of_a_16_bit_file():
    values = np.array([[1, 300, 65535]], np.uint16)
    found = normalized(decode_png_disparity(values), low=1, high=1 + 65535 / 256)
    np.testing.assert_allclose(found, values / 65535, rtol=1e-5)


def test_without_depth_nothing_happens():
    assert NormalizeDepth()(dict(img=0)) == dict(img=0)


@pytest.mark.parametrize('options', [dict(low=1), dict(high=1), dict(low=2, high=2)])
def test_wrong_range(options):
    with pytest.raises(ValueError, match='must be low < high, or both None'):
        NormalizeDepth(**options)


def test_values_outside_of_the_range():
    with pytest.raises(ValueError, match='a.png has values of 1 to 9, outside of .*high=4'):
        normalized(np.array([[1, 9]], np.float32), low=1, high=4)
