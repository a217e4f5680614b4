# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_depthuda.adaptation import INVALID_DEPTH, batch_mean, depth_agreement, unit_mean


def agreement_by_hand(depth_source, depth_target, reference, offset):
    """Equation 9, pixel by pixel."""
    if not reference > INVALID_DEPTH:
        return 1.0
    agreement = max(1 - abs(depth_source - depth_target) / reference, 0) + offset
    return min(max(agreement, 0), 1)


@pytest.mark.parametrize('offset', [0.0, 0.001])
@pytest.mark.parametrize('dtype', [torch.float16, torch.float32, torch.float64])
def test_agreement_equals_the_equation(offset, dtype):
    rng = np.random.default_rng(0)
    depths = rng.uniform(1, 60, (3, 2, 1, 5, 6))
    depths[2, 0, 0, :2] = INVALID_DEPTH
    depths[0, 1, 0, 0] = depths[1, 1, 0, 0]
    source, target, reference = torch.from_numpy(depths).to(dtype)

    agreement = depth_agreement(source.requires_grad_(), target, reference, offset)

    pixels = zip(*(d.flatten().tolist() for d in (source, target, reference)), strict=True)
    expected = [agreement_by_hand(*pixel, offset) for pixel in pixels]
    assert agreement.shape == (2, 1, 5, 6)
    assert agreement.dtype == torch.promote_types(dtype, torch.float32)
    assert not agreement.requires_grad
    np.testing.assert_allclose(agreement.flatten().tolist(), expected, rtol=1e-6, atol=1e-6)
    assert {0.0 + offset, 1.0} <= set(np.round(expected, 6))


ANY_DEPTH = arrays(np.float32, (2, 1, 2, 3), elements=st.floats(width=32))


@settings(max_examples=100, deadline=None)
@given(source=ANY_DEPTH, target=ANY_DEPTH, reference=ANY_DEPTH, offset=st.sampled_from([0, 0.001]))
def test_any_input_gives_finite_weights(source, target, reference, offset):
    depths = (torch.from_numpy(d) for d in (source, target, reference))
    agreement = depth_agreement(*depths, offset)
    assert torch.isfinite(agreement).all()
    assert agreement.min() >= 0
    assert agreement.max() <= 1
    assert torch.isfinite(unit_mean(agreement)).all()


def test_nan_agrees_with_nothing():
    one = torch.ones(1, 1, 1, 2)
    prediction = torch.tensor([float('nan'), 1.0]).view(1, 1, 1, 2)
    assert depth_agreement(prediction, one, one).flatten().tolist() == [0, 1]


@pytest.mark.parametrize('shape', [(2, 4, 4), (2, 2, 4, 4)])
def test_agreement_shape_errors(shape):
    depth = torch.ones(shape)
    with pytest.raises(ValueError, match='must have one shape'):
        depth_agreement(depth, depth, depth)
    with pytest.raises(ValueError, match=r'got \(2, 1, 4, 4\), .* and \(2, 1, 4, 4\)'):
        depth_agreement(torch.ones(2, 1, 4, 4), depth, torch.ones(2, 1, 4, 4))


@given(arrays(np.float64, (2, 1, 3, 4), elements=st.floats(0, 1)))
def test_unit_mean(agreement):
    normalized = unit_mean(torch.from_numpy(agreement)).numpy()
    assert normalized.mean() == pytest.approx(1)
    if agreement.sum() > 0:
        np.testing.assert_allclose(normalized * agreement.mean(), agreement, rtol=1e-9)


def test_unit_mean_is_common_to_the_batch():
    normalized = unit_mean(torch.tensor([1.0, 3.0]).view(2, 1, 1, 1))
    assert normalized.flatten().tolist() == [0.5, 1.5]


def test_unit_mean_of_no_agreement_is_uniform():
    assert unit_mean(torch.zeros(1, 1, 2, 2)).flatten().tolist() == [1, 1, 1, 1]


def test_batch_mean_weights_as_the_broadcast_of_the_release():
    agreement = torch.rand(3, 1, 4, 5, dtype=torch.float64)
    loss = torch.rand(3, 4, 5, dtype=torch.float64)
    broadcast = agreement * loss
    assert broadcast.shape == (3, 3, 4, 5)

    weight = batch_mean(agreement)

    assert weight.shape == agreement.shape
    torch.testing.assert_close((weight.squeeze(1) * loss).mean(), broadcast.mean())
