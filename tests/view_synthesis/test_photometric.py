# Licensed under the Apache License 2.0, see LICENSE.
"""Photometric losses against their definitions in NumPy and SciPy, and values found by hand."""

import kornia
import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter

from mmseg_depthuda.view_synthesis import (
    edge_aware_smoothness,
    feature_distance,
    minimum_reprojection,
    photometric_error,
    ssim,
)


def images(seed, shape=(2, 3, 9, 12)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ssim_reference(x, y):
    """Wang et al., eq. 13; scipy's 'mirror' is torch's 'reflect'."""

    def mean(values):
        return uniform_filter(values, size=(1, 1, 3, 3), mode='mirror')

    variance_x, variance_y = mean(x**2) - mean(x) ** 2, mean(y**2) - mean(y) ** 2
    covariance = mean(x * y) - mean(x) * mean(y)
    return (
        (2 * mean(x) * mean(y) + 1e-4)
        * (2 * covariance + 9e-4)
        / ((mean(x) ** 2 + mean(y) ** 2 + 1e-4) * (variance_x + variance_y + 9e-4))
    )


def test_ssim():
    x, y = images(0), images(1)
    np.testing.assert_allclose(ssim(x, y), ssim_reference(x.numpy(), y.numpy()), atol=1e-12)
    torch.testing.assert_close(ssim(x, x), torch.ones_like(x))


def test_ssim_of_constant_images_by_hand():
    """Only the first factor is not 1: (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)."""
    x, y = (torch.full((1, 3, 4, 4), value, dtype=torch.float64) for value in (0.2, 0.6))
    torch.testing.assert_close(ssim(x, y), torch.full_like(x, 0.2401 / 0.4001))


def test_the_window_is_no_gaussian():
    """kornia's SSIM gives other values, so it cannot be used."""
    x, y = images(0), images(1)
    difference = (ssim(x, y) - kornia.metrics.ssim(x, y, 3)).abs().max()
    assert difference > 0.01


def test_photometric_error():
    x, y = images(2), images(3)
    similarity = ssim_reference(x.numpy(), y.numpy())
    expected = 0.85 * ((1 - similarity) / 2).mean(1) + 0.15 * (x - y).abs().numpy().mean(1)
    np.testing.assert_allclose(photometric_error(x, y)[:, 0], expected, atol=1e-12)
    black, white = torch.zeros(1, 3, 5, 5), torch.ones(1, 3, 5, 5)
    # (1 - 1e-4 / 1.0001) / 2 and 1.
    torch.testing.assert_close(
        photometric_error(black, white), torch.full((1, 1, 5, 5), 0.85 * 0.49995 + 0.15)
    )
    assert photometric_error(x, x).abs().max() < 1e-12


def test_minimum_over_source_views_and_auto_masking():
    """Four pixels: the first view fits best, the second, the unwarped one; and a tie."""
    warped = torch.tensor([[0.1, 0.9, 0.5, 0.3], [0.8, 0.2, 0.6, 0.3]]).view(2, 1, 1, 1, 4)
    unwarped = torch.tensor([[0.4, 0.5, 0.4, 0.7], [0.3, 0.6, 0.7, 0.8]]).view(2, 1, 1, 1, 4)
    warped.requires_grad_()
    errors, explained = minimum_reprojection(warped, unwarped)
    assert errors.flatten().tolist() == pytest.approx([0.1, 0.2, 0.4, 0.3], abs=1e-4)
    assert explained.flatten().tolist() == [True, True, False, True]
    errors.sum().backward()
    # In a tie both views share the gradient. The masked pixel has no gradient.
    expected = [[1.0, 0, 0, 0.5], [0, 1.0, 0, 0.5]]
    torch.testing.assert_close(warped.grad.view(2, 4), torch.tensor(expected))


def test_noise_breaks_ties_between_warped_and_unwarped():
    """Where nothing moves, the noise decides: the smaller of two draws of 1e-5."""
    errors = torch.full((2, 1, 1, 200, 200), 0.25, dtype=torch.float64)
    torch.manual_seed(0)
    least, explained = minimum_reprojection(errors, errors)
    # The smaller of two normal variables is positive with probability 1 / 4.
    assert explained.double().mean().item() == pytest.approx(0.25, abs=0.01)
    noise = least[~explained] - 0.25
    assert noise.min() > -6e-5
    z = np.random.default_rng(0).normal(0, 1e-5, (2, 10**6)).min(0)
    assert noise.mean().item() == pytest.approx(z[z < 0].mean(), rel=0.02)


def smoothness_reference(disparity, image):
    normalized = disparity / disparity.mean(axis=(2, 3), keepdims=True)
    total = 0
    for axis in (2, 3):
        weight = np.exp(-np.abs(np.diff(image, axis=axis)).mean(axis=1, keepdims=True))
        total += (np.abs(np.diff(normalized, axis=axis)) * weight).mean()
    return total


def test_edge_aware_smoothness():
    disparity, image = images(4, (2, 1, 6, 8)) + 0.1, images(5, (2, 3, 6, 8))
    expected = smoothness_reference(disparity.numpy(), image.numpy())
    smoothness = edge_aware_smoothness(disparity, image)
    assert smoothness.item() == pytest.approx(expected, rel=1e-5)
    assert edge_aware_smoothness(7 * disparity, image).item() == pytest.approx(expected, rel=1e-5)
    # At half the size, the image is averaged over 2x2 pixels.
    large = images(6, (2, 3, 12, 16))
    averaged = large.view(2, 3, 6, 2, 8, 2).mean((3, 5)).numpy()
    expected = smoothness_reference(disparity.numpy(), averaged)
    assert edge_aware_smoothness(disparity, large).item() == pytest.approx(expected, rel=1e-5)


def test_smoothness_by_hand():
    """A step of 1 -> 3 (normalized 0.5 -> 1.5) in one of 3 gaps; no image edge, then one."""
    disparity = torch.tensor([1.0, 1.0, 3.0, 3.0]).expand(1, 1, 4, 4)
    image = torch.zeros(1, 3, 4, 4)
    assert edge_aware_smoothness(disparity, image).item() == pytest.approx(1 / 3)
    image[..., 2:] = 1
    assert edge_aware_smoothness(disparity, image).item() == pytest.approx(np.exp(-1) / 3)
    assert edge_aware_smoothness(torch.ones(1, 1, 4, 4), image).item() == 0


def test_feature_distance():
    """One image has a distance of 5, from 3 and 4. The other has 0: no NaN in its gradient."""
    features = torch.zeros(2, 2, 1, 2, requires_grad=True)
    reference = torch.zeros(2, 2, 1, 2)
    reference[0, 0, 0, 0], reference[0, 1, 0, 1] = 3, 4
    distance = feature_distance(features, reference)
    assert distance.item() == pytest.approx(2.5)
    distance.backward()
    expected = torch.zeros(2, 2, 1, 2)
    expected[0, 0, 0, 0], expected[0, 1, 0, 1] = -0.3, -0.4
    torch.testing.assert_close(features.grad, expected)


def test_gradients_by_finite_differences():
    prediction, target = images(7, (1, 3, 4, 5)).requires_grad_(), images(8, (1, 3, 4, 5))
    assert torch.autograd.gradcheck(lambda x: photometric_error(x, target), [prediction])
    disparity = images(9, (1, 1, 4, 5)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: edge_aware_smoothness(x, target), [disparity])
