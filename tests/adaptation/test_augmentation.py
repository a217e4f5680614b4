# Licensed under the Apache License 2.0, see LICENSE.
import colorsys
import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from mmseg_depthuda.adaptation import draw_strong_augmentation, strong_augmentation
from mmseg_depthuda.adaptation.augmentation import AugmentationDraws

MEAN_BGR = [104.00698793, 116.66876762, 122.67891434]
STD_BGR = [1.0, 2.0, 3.0]
NEUTRAL = AugmentationDraws(
    jitter=True,
    blur=True,
    order=(2, 0, 3, 1),
    brightness=torch.zeros(2),
    contrast=torch.ones(2),
    saturation=torch.ones(2),
    hue=torch.zeros(2),
    sigma=torch.full((2,), 0.05),
)


def normalized(rgb_unit):
    """(N, 3, H, W) RGB in 0 .. 1 to normalized BGR, float64."""
    bgr = torch.as_tensor(rgb_unit, dtype=torch.float64).flip(1) * 255
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN_BGR, STD_BGR))
    return (bgr - mean) / std


def jittered_pixel(rgb, draws, index):
    """Apply the operations to one RGB pixel in the order drawn, with the standard library's HSV."""

    def clip(values):
        return [min(max(value, 0), 1) for value in values]

    for operation in draws.order:
        if operation == 0:
            rgb = clip(value + draws.brightness[index].item() for value in rgb)
        elif operation == 1:
            rgb = clip(value * draws.contrast[index].item() for value in rgb)
        else:
            hue, saturation, value = colorsys.rgb_to_hsv(*rgb)
            if operation == 2:
                saturation = min(saturation * draws.saturation[index].item(), 1)
            else:
                hue = (hue + draws.hue[index].item()) % 1
            rgb = colorsys.hsv_to_rgb(hue, saturation, value)
    return rgb


@pytest.mark.parametrize('order', [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_jitter_equals_the_standard_librarys_colors(order):
    rgb = np.random.default_rng(0).random((2, 3, 3, 4))
    draws = dataclasses.replace(
        NEUTRAL,
        blur=False,
        order=order,
        brightness=torch.tensor([0.2, -0.15]),
        contrast=torch.tensor([0.8, 1.25]),
        saturation=torch.tensor([1.2, 0.75]),
        hue=torch.tensor([-0.25, 0.1]),
    )
    expected = np.empty_like(rgb)
    for n, y, x in np.ndindex(2, 3, 4):
        expected[n, :, y, x] = jittered_pixel(rgb[n, :, y, x], draws, n)

    result = strong_augmentation(normalized(rgb), MEAN_BGR, STD_BGR, draws)

    torch.testing.assert_close(result, normalized(expected), rtol=0, atol=1e-4)


def test_rgb_order_is_the_flipped_bgr_order():
    rgb = np.random.default_rng(1).random((2, 3, 3, 4))
    draws = dataclasses.replace(NEUTRAL, blur=False, hue=torch.tensor([0.1, -0.2]))
    bgr = normalized(rgb)
    from_bgr = strong_augmentation(bgr, MEAN_BGR, STD_BGR, draws)
    from_rgb = strong_augmentation(bgr.flip(1), MEAN_BGR[::-1], STD_BGR[::-1], draws, rgb=True)
    torch.testing.assert_close(from_rgb.flip(1), from_bgr)
    assert (from_bgr - bgr).abs().max() > 10


@pytest.mark.parametrize(
    ('size', 'kernel'), [((7, 64), (1, 7)), ((95, 101), (9, 11)), ((21, 10), (3, 1))]
)
def test_blur_equals_scipy(size, kernel):
    images = torch.randn(2, 3, *size, dtype=torch.float64) * 60
    draws = dataclasses.replace(NEUTRAL, jitter=False, sigma=torch.tensor([0.3, 1.15]))

    result = strong_augmentation(images, MEAN_BGR, STD_BGR, draws).numpy()

    expected = images.numpy()
    for axis, taps in zip((2, 3), kernel, strict=True):
        blurred = []
        for image, sigma in zip(expected, draws.sigma.tolist(), strict=True):
            offset = np.arange(taps) - taps // 2
            weights = np.exp(-(offset**2) / (2 * sigma**2))
            blurred.append(correlate1d(image, weights / weights.sum(), axis - 1, mode='mirror'))
        expected = np.stack(blurred)
    np.testing.assert_allclose(result, expected, atol=1e-9)


def test_kernel_of_the_published_crop():
    # In 512x512 the kernel has 51 pixels. A very large sigma makes all of them visible.
    images = torch.zeros(1, 3, 512, 512, dtype=torch.float64)
    images[:, :, 256, 256] = 1
    draws = dataclasses.replace(NEUTRAL, jitter=False, sigma=torch.tensor([100.0]))
    spread = strong_augmentation(images, MEAN_BGR, STD_BGR, draws)[0, 0] > 0
    assert spread.any(0).sum() == spread.any(1).sum() == 51


@pytest.mark.parametrize(
    ('dtype', 'tolerance'),
    [(torch.float64, 1e-4), (torch.float32, 1e-3), (torch.float16, 0.1), (torch.bfloat16, 1.0)],
)
def test_neutral_strengths_keep_the_image(dtype, tolerance):
    images = normalized(torch.rand(2, 3, 33, 65, dtype=torch.float64)).to(dtype)
    result = strong_augmentation(images, MEAN_BGR, torch.tensor(STD_BGR).view(3, 1, 1), NEUTRAL)
    assert result.dtype == dtype
    assert (result - images).abs().max() <= tolerance


def test_neither_returns_the_images():
    images = torch.zeros(2, 3, 4, 4)
    draws = dataclasses.replace(NEUTRAL, jitter=False, blur=False)
    assert strong_augmentation(images, MEAN_BGR, STD_BGR, draws) is images


def test_single_pixel():
    images = normalized(torch.rand(2, 3, 1, 1))
    result = strong_augmentation(images, MEAN_BGR, STD_BGR, NEUTRAL)
    torch.testing.assert_close(result, images, rtol=0, atol=1e-4)


def test_rates_and_ranges_of_the_draws():
    generator = torch.Generator().manual_seed(0)
    draws = [draw_strong_augmentation(3, generator) for _ in range(4000)]
    # Standard deviations of the shares: 0.0063 and 0.0079.
    assert np.mean([d.jitter for d in draws]) == pytest.approx(0.8, abs=0.03)
    assert np.mean([d.blur for d in draws]) == pytest.approx(0.5, abs=0.04)
    assert np.mean([d.jitter and d.blur for d in draws]) == pytest.approx(0.4, abs=0.04)
    assert len({d.order for d in draws}) == math.factorial(4)
    ranges = {
        'brightness': (-0.25, 0.25),
        'contrast': (0.75, 1.25),
        'saturation': (0.75, 1.25),
        'hue': (-0.25, 0.25),
        'sigma': (0.15, 1.15),
    }
    for name, (low, high) in ranges.items():
        values = torch.cat([getattr(d, name) for d in draws])
        assert values.min() >= low
        assert values.max() <= high
        # Uniform: the mean, and a variance of the squared range / 12.
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.015)
        assert values.var().item() == pytest.approx((high - low) ** 2 / 12, rel=0.05)


def test_draws_follow_the_seed():
    images = normalized(torch.rand(2, 3, 32, 32))

    def augmented(generator=None):
        return [strong_augmentation(images, MEAN_BGR, STD_BGR, None, generator) for _ in range(4)]

    first = torch.stack(augmented(torch.Generator().manual_seed(5)))
    assert torch.equal(first, torch.stack(augmented(torch.Generator().manual_seed(5))))
    torch.manual_seed(5)
    assert torch.equal(first, torch.stack(augmented()))
    assert not torch.equal(first, torch.stack(augmented()))
    # Two images of a batch have different strengths.
    same = strong_augmentation(images[:1].expand(2, -1, -1, -1), MEAN_BGR, STD_BGR)
    assert not torch.equal(same[0], same[1])


def test_one_sigma_for_the_batch():
    """It is that of the first image; nothing else changes."""
    one, each = (
        draw_strong_augmentation(3, torch.Generator().manual_seed(1), one_sigma=flag)
        for flag in (True, False)
    )
    assert one.sigma.tolist() == [each.sigma[0].item()] * 3 and len(set(each.sigma.tolist())) == 3
    assert torch.equal(one.hue, each.hue) and one.order == each.order


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (torch.zeros(3, 4, 4), r'\(N, 3, H, W\), got torch.float32 \(3, 4, 4\)'),
        (torch.zeros(2, 1, 4, 4), r'got torch.float32 \(2, 1, 4, 4\)'),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), 'got torch.uint8'),
        (torch.zeros(3, 3, 4, 4), 'draws are for 2 images, got 3'),
    ],
)
def test_errors(images, message):
    with pytest.raises(ValueError, match=message):
        strong_augmentation(images, MEAN_BGR, STD_BGR, NEUTRAL)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_equals_cpu():
    images = normalized(torch.rand(2, 3, 64, 96))
    on_cpu = strong_augmentation(images, MEAN_BGR, STD_BGR, NEUTRAL)
    on_gpu = strong_augmentation(images.cuda(), MEAN_BGR, STD_BGR, NEUTRAL)
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=0, atol=1e-3)
