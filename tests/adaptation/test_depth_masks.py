# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_depthuda.adaptation import (
    depth_mix_mask,
    draw_margins,
    draw_thresholds,
    min_max_normalized,
)

# 0 and NaN are no depth. Few values, so that ties are frequent.
VALUES = st.sampled_from([0.0, np.nan, 0.5, 1.0, 2.0, 4.0, 100.0])
DEPTHS = arrays(np.float64, (2, 1, 2, 3), elements=VALUES)
SMALL = st.floats(-1, 1, width=32)


def unit(depth):
    """Min-max scaled over the pixels with a depth; NaN elsewhere."""
    scaled = np.full_like(depth, np.nan)
    for image, own in zip(depth, scaled, strict=True):
        values = image[image > 0]
        if values.size:
            extent = np.ptp(values) or 1
            own[image > 0] = (values - values.min()) / extent
    return scaled


@given(DEPTHS)
def test_normalization_against_numpy(depth):
    found = min_max_normalized(torch.from_numpy(depth)).numpy()
    np.testing.assert_allclose(found, np.nan_to_num(unit(depth)), rtol=1e-12)


@given(DEPTHS, DEPTHS, arrays(np.float64, (2, 2, 1, 1, 1), elements=SMALL), st.booleans())
def test_mask_against_numpy(pasted, onto, drawn, normalize):
    margin, threshold = torch.from_numpy(drawn)
    found = depth_mix_mask(
        torch.from_numpy(pasted), torch.from_numpy(onto), margin, threshold, normalize
    )
    i, j = (unit(d) if normalize else np.where(d > 0, d, np.nan) for d in (pasted, onto))
    with np.errstate(invalid='ignore'):
        in_front = np.isnan(j) | (i >= j - drawn[0])
        np.testing.assert_array_equal(found, in_front & (i >= drawn[1]))


def test_margin_and_threshold_by_hand():
    """A positive margin lets a pixel that is a little farther pass, a negative one stops equals."""
    pasted, onto = (
        torch.tensor([[[[0.0, 0.3, 0.6, 0.9]]]]),
        torch.tensor([[[[0.3, 0.4, 0.6, 0.0]]]]),
    )

    def mask(**options):
        return depth_mix_mask(pasted, onto, normalize=False, **options).flatten().tolist()

    assert mask(margin=0.0) == [False, False, True, True]
    assert mask(margin=0.2) == [False, True, True, True]
    assert mask(margin=-0.2) == [False, False, False, True]
    assert mask(margin=0.2, threshold=0.5) == [False, False, True, True]


@given(DEPTHS.filter(lambda d: (d > 0).any()), st.floats(0.5, 100), st.floats(0, 50))
def test_unit_and_offset_of_either_map_have_no_effect(depth, factor, offset):
    first, second = torch.from_numpy(depth), torch.from_numpy(depth).flip(0)
    other = torch.where(second > 0, factor * second + offset, second)
    expected = depth_mix_mask(first, second, margin=0.017)
    assert torch.equal(depth_mix_mask(first, other, margin=0.017), expected)


def test_draws():
    generator = torch.Generator().manual_seed(0)
    margins = draw_margins(4000, 0.03, flip=True, generator=generator)
    assert margins.abs().eq(0.03).all()
    assert (margins > 0).double().mean().item() == pytest.approx(0.5, abs=0.04)  # 5 deviations
    assert draw_margins(3, 0.03, flip=False).flatten().tolist() == [0.03] * 3
    thresholds = draw_thresholds(4000, 0.2, 0.6, generator)
    assert 0.2 <= thresholds.min() < 0.21 and 0.59 < thresholds.max() <= 0.6
    assert thresholds.mean().item() == pytest.approx(0.4, abs=0.01)
    assert thresholds.shape == (4000, 1, 1, 1)
    assert draw_thresholds(2, 0.3, 0.3).flatten().tolist() == [0.3, 0.3]


def test_errors():
    depth = torch.ones(2, 1, 4, 4)
    with pytest.raises(
        ValueError, match=r'onto must be floating point \(N, 1, H, W\), got torch.u'
    ):
        depth_mix_mask(depth, depth.byte())
    with pytest.raises(ValueError, match=r'one shape, got \(2, 1, 4, 4\) and \(1, 1, 4, 4\)'):
        depth_mix_mask(depth, depth[:1])
    with pytest.raises(ValueError, match=r'inverse_depth must be .*got torch.float32 \(1, 4, 4\)'):
        min_max_normalized(depth[0])
