# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmseg.registry import MODELS

from mmseg_depthuda.models.losses import BerHuLoss, berhu_loss


def berhu_by_hand(prediction, target, valid=None, threshold=None):
    """The definition, pixel by pixel, in float64."""
    errors = [abs(p - t) for p, t in zip(prediction.flat, target.flat, strict=True)]
    if valid is not None:
        errors = [error for error, use in zip(errors, valid.flat, strict=True) if use]
    if not errors or max(errors) == 0:
        return 0.0
    c = 0.2 * max(errors) if threshold is None else threshold
    losses = [e if e <= c else (e**2 + c**2) / (2 * c) for e in errors]
    return sum(losses) / len(losses)


def test_hand_computed():
    # Errors 10, 1, 2, 0: c = 2; (100 + 4) / 4, 1, 2, 0.
    prediction = torch.tensor([10.0, 1.0, 2.0, 0.0]).view(1, 1, 2, 2)
    assert berhu_loss(prediction, torch.zeros(1, 1, 2, 2)).item() == (26 + 1 + 2 + 0) / 4
    # Without the first: c = 0.4; (1 + 0.16) / 0.8, (4 + 0.16) / 0.8, 0.
    valid = torch.tensor([False, True, True, True]).view(1, 1, 2, 2)
    loss = berhu_loss(prediction, torch.zeros(1, 1, 2, 2), valid)
    assert loss.item() == pytest.approx((1.45 + 5.2) / 3)


# Coarser than the resolution of float64. The limits of float64 have their own test.
NUMBERS = st.floats(-1e3, 1e3).map(lambda value: round(value, 6))
VALUES = arrays(np.float64, (2, 1, 3, 2), elements=NUMBERS)


@settings(max_examples=100, deadline=None)
@given(VALUES, VALUES, st.none() | arrays(np.bool_, (2, 1, 3, 2)), st.floats(1e-3, 1e3))
def test_properties(prediction, target, valid, scale):
    mask = None if valid is None else torch.from_numpy(valid)
    prediction, target = torch.from_numpy(prediction), torch.from_numpy(target)
    loss = berhu_loss(prediction, target, mask).item()
    expected = berhu_by_hand(prediction.numpy(), target.numpy(), valid)
    assert loss == pytest.approx(expected, rel=1e-12)
    assert berhu_loss(target, prediction, mask).item() == loss
    scaled = berhu_loss(scale * prediction, scale * target, mask).item()
    assert scaled == pytest.approx(scale * loss, rel=1e-9, abs=1e-300)


@given(st.floats(0.01, 100))
def test_value_and_slope_are_continuous_at_the_threshold(largest):
    """The second pixel crosses the threshold that the first one sets."""
    at_threshold = 0.2 * largest
    losses, slopes = [], []
    for side in (1 - 1e-9, 1 + 1e-9):
        prediction = torch.tensor([largest, at_threshold * side], dtype=torch.float64)
        prediction.requires_grad_()
        loss = berhu_loss(prediction, torch.zeros(2, dtype=torch.float64))
        loss.backward()
        losses.append(loss.item())
        slopes.append(prediction.grad[1].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-8)
    assert slopes == pytest.approx([0.5, 0.5], rel=1e-8)


@settings(max_examples=30, deadline=None)
@given(VALUES, VALUES, arrays(np.bool_, (2, 1, 3, 2)))
def test_gradient_equals_finite_differences_with_the_threshold_held(prediction, target, valid):
    error = np.abs(prediction - target)
    assume(valid.any() and error[valid].max() > 1e-2)
    # No finite difference where |e| has no derivative or the step crosses the threshold.
    c = 0.2 * error[valid].max()
    step = 1e-6 * c
    smooth = (error > 2 * step) & (np.abs(error - c) > 2 * step)

    leaf = torch.from_numpy(prediction).requires_grad_()
    berhu_loss(leaf, torch.from_numpy(target), torch.from_numpy(valid)).backward()

    for index in zip(*np.nonzero(smooth), strict=True):
        above, below = prediction.copy(), prediction.copy()
        above[index] += step
        below[index] -= step
        difference = (above[index] - target[index]) - (below[index] - target[index])
        slope = berhu_by_hand(above, target, valid, c) - berhu_by_hand(below, target, valid, c)
        assert leaf.grad[index].item() == pytest.approx(slope / difference, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize('no_error', [True, False])
def test_nothing_to_learn_is_zero_with_zero_gradient(no_error):
    prediction = torch.randn(2, 1, 3, 3, requires_grad=True)
    target = prediction.detach() if no_error else prediction.detach() + 5
    valid = torch.full((2, 1, 3, 3), no_error)
    loss = berhu_loss(prediction, target, valid)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(prediction.grad, torch.zeros(2, 1, 3, 3))


@pytest.mark.parametrize('garbage', [float('nan'), float('inf'), 1e38])
def test_invalid_pixels_have_no_effect(garbage):
    prediction = torch.randn(1, 1, 2, 4, requires_grad=True)
    target = torch.randn(1, 1, 2, 4)
    valid = torch.zeros(1, 1, 2, 4, dtype=torch.bool)
    valid[..., :2] = True
    polluted = torch.where(valid, target, garbage)
    loss = berhu_loss(prediction, polluted, valid)
    loss.backward()
    assert loss.item() == pytest.approx(berhu_loss(prediction[..., :2], target[..., :2]).item())
    assert torch.equal(prediction.grad[~valid], torch.zeros(4))
    assert torch.isfinite(prediction.grad).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_does_not_overflow(dtype):
    prediction = torch.tensor([600.0, 3.0], dtype=dtype, requires_grad=True)
    loss = berhu_loss(prediction, torch.zeros(2))
    loss.backward()
    # c = 120; (360000 + 14400) / 240, 3.
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx((1560 + 3) / 2)
    assert prediction.grad.tolist() == [2.5, 0.5]


@pytest.mark.parametrize('scale', [1e-42, 1e-30, 1e30])
def test_extreme_scales_stay_finite(scale):
    prediction = torch.tensor([10.0, 1.0, 2.0, 0.0]) * scale
    prediction.requires_grad_()
    loss = berhu_loss(prediction, torch.zeros(4))
    loss.backward()
    assert loss.item() == pytest.approx(7.25 * scale, rel=1e-2)
    assert torch.isfinite(prediction.grad).all()


@pytest.mark.parametrize(
    ('prediction', 'target', 'valid', 'message'),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4), None, r'\(2, 1, 4, 4\) and \(2, 4, 4\)'),
        (torch.zeros(0, 1, 4, 4), torch.zeros(0, 1, 4, 4), None, 'at least one element'),
        (torch.zeros(2), torch.zeros(2), torch.ones(2), 'valid must be bool.*torch.float32'),
        (torch.zeros(2), torch.zeros(2), torch.ones(3) > 0, r'of shape \(3,\)'),
    ],
)
def test_errors(prediction, target, valid, message):
    with pytest.raises(ValueError, match=message):
        berhu_loss(prediction, target, valid)


def test_registered_module_leaves_out_pixels_without_depth():
    prediction = torch.tensor([11.0, 100.0, 3.0]).view(1, 1, 1, 3)
    target = torch.tensor([1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    loss = MODELS.build({'type': 'BerHuLoss', 'loss_weight': 0.01})
    assert isinstance(loss, BerHuLoss)
    assert loss.loss_name == 'loss_depth'
    # Errors 10 and 2: c = 2.
    assert loss(prediction, target).item() == pytest.approx(0.01 * (26 + 2) / 2)


def test_dada_variant_uses_all_pixels():
    loss = BerHuLoss(ignore_invalid=False, loss_name='loss_berhu')
    assert loss.loss_name == 'loss_berhu'
    # Errors 5 and 1: c = 1.
    value = loss(torch.tensor([5.0, 2.0]), torch.tensor([0.0, 1.0]))
    assert value.item() == pytest.approx((13 + 1) / 2)


def test_a_name_that_would_not_be_added_up():
    with pytest.raises(ValueError, match="must contain 'loss'.*'berhu'"):
        BerHuLoss(loss_name='berhu')
