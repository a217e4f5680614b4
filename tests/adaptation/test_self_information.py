# Licensed under the Apache License 2.0, see LICENSE.
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.adaptation.self_information import (
    fuse_with_map,
    mean_entropy,
    weighted_self_information,
)


def logits_of(probability):
    """Logits (1, C, 1, 1) whose softmax is ``probability``."""
    return torch.tensor(probability, dtype=torch.float64).log().view(1, -1, 1, 1)


def published(logits):
    """-p * log2(p + 1e-30) / log2(C) in NumPy, float64."""
    logits = np.asarray(logits, dtype=np.float64)
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponential / exponential.sum(axis=1, keepdims=True)
    return -p * np.log2(p + 1e-30) / np.log2(logits.shape[1])


def random_logits(scale, shape=(2, 5, 4, 6), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, dtype=torch.float64, generator=generator)


def test_hand_computed_shares():
    """1/2 log2(2) / log2(4) = 1/4, 1/4 log2(4) / 2 = 1/4, 1/8 log2(8) / 2 = 3/16."""
    information = weighted_self_information(logits_of([1 / 2, 1 / 4, 1 / 8, 1 / 8]))
    expected = torch.tensor([1 / 4, 1 / 4, 3 / 16, 3 / 16], dtype=torch.float64)
    torch.testing.assert_close(information.flatten(), expected)
    entropy = mean_entropy(logits_of([1 / 2, 1 / 4, 1 / 8, 1 / 8]))
    assert entropy.item() == pytest.approx(7 / 8)


@pytest.mark.parametrize('scale', [0.1, 3, 30])
def test_is_the_published_formula(scale):
    """The release adds 1e-30 to avoid the logarithm of 0. This changes nothing else."""
    logits = random_logits(scale)
    np.testing.assert_allclose(
        weighted_self_information(logits), published(logits), rtol=1e-12, atol=1e-15
    )
    assert mean_entropy(logits).item() == pytest.approx(published(logits).sum(axis=1).mean())


@pytest.mark.parametrize('num_classes', [2, 7, 16, 19])
def test_equal_classes_sum_to_one_and_a_certain_one_to_zero(num_classes):
    uniform = torch.full((1, num_classes, 3, 2), -7.5)
    information = weighted_self_information(uniform)
    torch.testing.assert_close(information, torch.full_like(information, 1 / num_classes))
    torch.testing.assert_close(information.sum(1), torch.ones(1, 3, 2))
    certain = torch.zeros(1, num_classes, 3, 2)
    certain[:, 1] = 1000
    assert torch.equal(weighted_self_information(certain), torch.zeros_like(certain))
    assert mean_entropy(uniform).item() == pytest.approx(1)
    assert mean_entropy(certain).item() == 0


@given(
    values=st.lists(st.floats(-1e3, 1e3, width=16), min_size=2, max_size=19),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_bounds(values, dtype):
    logits = torch.tensor(values).to(dtype).view(1, -1, 1, 1)
    information = weighted_self_information(logits)
    assert information.dtype == (torch.float64 if dtype is torch.float64 else torch.float32)
    assert information.shape == logits.shape
    assert ((information >= 0) & (information <= 1)).all()
    assert information.sum() <= 1 + 1e-6
    np.testing.assert_allclose(information, published(logits.double()), atol=1e-6)


@pytest.mark.parametrize('function', [weighted_self_information, mean_entropy])
def test_gradient_by_finite_differences(function):
    logits = random_logits(2, (2, 4, 2, 3)).requires_grad_()
    assert torch.autograd.gradcheck(function, logits)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16, torch.float32])
def test_extreme_logits_have_finite_gradients(dtype):
    """If the softmax became 0, its logarithm would be -inf, and the gradient NaN."""
    logits = torch.tensor([[1e3, -1e3, 0.0], [-6e4, 6e4, 6e4]], dtype=dtype)
    logits = logits.view(2, 3, 1, 1).requires_grad_()
    mean_entropy(logits).backward()
    assert logits.grad.isfinite().all()
    # In the second pixel two classes are equally likely: the entropy is log 2 / log 3.
    torch.testing.assert_close(
        weighted_self_information(logits).sum(1).flatten(),
        torch.tensor([0, math.log(2) / math.log(3)]),
    )


@pytest.mark.parametrize('shape', [(1, 1, 4, 4), (5, 4, 4), (5,)])
def test_refuses_what_has_no_classes(shape):
    with pytest.raises(ValueError, match='at least two classes'):
        weighted_self_information(torch.zeros(shape))


def test_fusion_multiplies_every_class_by_the_depth_of_the_pixel():
    information = random_logits(1, (2, 3, 2, 2)).abs()
    depth = random_logits(100, (2, 1, 2, 2), seed=1)
    fused = fuse_with_map(information, depth)
    assert fused.shape == (2, 3, 2, 2)
    for image, label, row, column in np.ndindex(2, 3, 2, 2):
        expected = information[image, label, row, column] * depth[image, 0, row, column]
        assert fused[image, label, row, column] == expected


@pytest.mark.parametrize('shape', [(1, 1, 2, 2), (2, 3, 2, 2), (2, 1, 1, 1), (2, 2, 2)])
def test_fusion_refuses_what_broadcasting_would_hide(shape):
    with pytest.raises(ValueError, match=r'must be \(2, 1, 2, 2\), got'):
        fuse_with_map(torch.zeros(2, 3, 2, 2), torch.zeros(shape))
