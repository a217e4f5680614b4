# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_depthuda.adaptation import geometry_cost

DEPTHS = arrays(np.float64, (4, 1, 5, 3), elements=st.floats(0, 1e4))


@given(DEPTHS, st.integers(0, 2), st.integers(0, 2))
def test_cost_against_numpy(depths, top, bottom):
    target, candidates = depths[0], depths[1:]
    expected = np.abs(np.log(1 + target) - np.log(1 + candidates))
    expected[:, :, :top] = 0
    expected[:, :, 5 - bottom :] = 0  # counted in the mean nevertheless
    found = geometry_cost(torch.from_numpy(target), torch.from_numpy(candidates), top, bottom)
    np.testing.assert_allclose(found, expected.mean(axis=(1, 2, 3)), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(), 'ignore_top=80 and ignore_bottom=100 leave none of the 4 rows'),
        (dict(ignore_top=3, ignore_bottom=1), 'leave none of the 4 rows'),
        (dict(ignore_top=-1, ignore_bottom=1), 'ignore_top=-1 .* or are negative'),
        (dict(height=5), r'size of the target, \(1, 5, 4\), got \(1, 4, 4\)'),
    ],
)
def test_errors(options, message):
    target = torch.ones(1, options.pop('height', 4), 4)
    with pytest.raises(ValueError, match=message):
        geometry_cost(target, torch.ones(3, 1, 4, 4), **options)
