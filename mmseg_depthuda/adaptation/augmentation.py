# Licensed under the Apache License 2.0, see LICENSE.
"""The strong augmentation of mixed images: color jitter and Gaussian blur."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from kornia.enhance import adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation
from kornia.filters import gaussian_blur2d
from torch import Tensor

JITTER_PROBABILITY = 0.8
JITTER_RANGE = 0.25
BLUR_PROBABILITY = 0.5
BLUR_SIGMA = (0.15, 1.15)


@dataclass(frozen=True)
class AugmentationDraws:
    """Result of :func:`draw_strong_augmentation` for one batch. Tensors are on the CPU, float32.

    Attributes:
        jitter: Whether to jitter the colors of the batch.
        blur: Whether to blur the batch.
        order: Order of the color operations, a permutation of 0 (brightness), 1 (contrast),
            2 (saturation) and 3 (hue).
        brightness: Shift of the values, ``(N,)`` in ``-0.25 .. 0.25``.
        contrast: Factor on the values, ``(N,)`` in ``0.75 .. 1.25``.
        saturation: Factor on the HSV saturation, ``(N,)`` in ``0.75 .. 1.25``.
        hue: Turns of the hue circle, ``(N,)`` in ``-0.25 .. 0.25``.
        sigma: Standard deviation of the blur in pixels, ``(N,)`` in ``0.15 .. 1.15``.
    """

    jitter: bool
    blur: bool
    order: tuple[int, ...]
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    sigma: Tensor


def draw_strong_augmentation(
    batch_size: int, generator: torch.Generator | None = None, one_sigma: bool = False
) -> AugmentationDraws:
    """Draw whether and how to augment a batch.

    Whether to jitter (probability 0.8) and whether to blur (probability 0.5) is drawn once per
    batch. The strengths are drawn for each image, uniformly in the ranges of
    :class:`AugmentationDraws`. The number of random values is the same whatever is drawn.

    Args:
        batch_size: Number of images ``N``.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``.
        one_sigma: Whether all images are blurred with the same sigma.

    Returns:
        The draws.

    Source:
        Tranheden et al., DACS, WACV 2021, and its released implementation. One sigma: Hoyer et al.,
        CVPR 2021, its release.

    Example:
        >>> draws = draw_strong_augmentation(2, torch.Generator().manual_seed(0))
        >>> draws.hue.shape, sorted(draws.order)
        (torch.Size([2]), [0, 1, 2, 3])
    """
    jitter, blur = torch.rand(2, generator=generator)
    order = torch.randperm(4, generator=generator)
    uniform = torch.rand(5, batch_size, generator=generator)
    brightness, contrast, saturation, hue = (2 * uniform[:4] - 1) * JITTER_RANGE
    smallest, largest = BLUR_SIGMA
    blur_strength = uniform[4, :1].expand(batch_size) if one_sigma else uniform[4]
    return AugmentationDraws(
        jitter=bool(jitter > 1 - JITTER_PROBABILITY),
        blur=bool(blur > 1 - BLUR_PROBABILITY),
        order=tuple(order.tolist()),
        brightness=brightness,
        contrast=1 + contrast,
        saturation=1 + saturation,
        hue=hue,
        sigma=smallest + (largest - smallest) * blur_strength,
    )


@torch.no_grad()
def strong_augmentation(
    images: Tensor,
    mean: Sequence[float] | Tensor,
    std: Sequence[float] | Tensor,
    draws: AugmentationDraws | None = None,
    generator: torch.Generator | None = None,
    rgb: bool = False,
) -> Tensor:
    """Jitter the colors of normalized images and blur them.

    The jitter works on ``clip((images * std + mean) / 255, 0, 1)`` in RGB order: brightness is
    added, contrast multiplies the values, and saturation and hue are changed in HSV. Values are
    clipped to ``0 .. 1`` after each. This is kornia's ``ColorJiggle``; when DACS used it, its name
    was ``ColorJitter``. The blur is a Gaussian with reflected borders. Each side of its kernel is
    the largest odd number that is not greater than ``ceil(side / 10)``.

    Args:
        images: ``(N, 3, H, W)``, floating point, normalized: ``(values in 0 .. 255 - mean) / std``.
        mean: Mean of the three channels, in their order in ``images``.
        std: Standard deviation of the three channels, likewise.
        draws: What to do, from :func:`draw_strong_augmentation`; drawn here if ``None``.
        generator: CPU generator for the draws made here.
        rgb: Whether the channels of ``images`` are in RGB order; BGR otherwise.

    Returns:
        Augmented images, normalized, of the shape, dtype and device of ``images`` (``images``
        itself if neither was drawn). The arithmetic is in float32 at least.

    Raises:
        ValueError: If ``images`` is not ``(N, 3, H, W)`` floating point, or ``draws`` is for
            another batch size.

    Source:
        Tranheden et al., DACS, WACV 2021, and its released implementation.

    Example:
        >>> images = torch.zeros(2, 3, 64, 64)
        >>> strong_augmentation(images, mean=[104, 117, 123], std=[1, 1, 1]).shape
        torch.Size([2, 3, 64, 64])
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f'images must be floating point (N, 3, H, W), got {images.dtype} {tuple(images.shape)}'
        )
    draws = draws or draw_strong_augmentation(len(images), generator)
    if len(draws.sigma) != len(images):
        raise ValueError(f'draws are for {len(draws.sigma)} images, got {len(images)}')
    if not (draws.jitter or draws.blur):
        return images

    augmented = images.to(torch.promote_types(images.dtype, torch.float32))
    if draws.jitter:
        mean, std = (torch.as_tensor(x).to(augmented).view(3, 1, 1) for x in (mean, std))
        unit = ((augmented * std + mean) / 255).clamp_(0, 1)
        # Flipping the channels is its own inverse.
        unit = _jitter(unit, draws) if rgb else _jitter(unit.flip(1), draws).flip(1)
        augmented = (unit * 255 - mean) / std
    if draws.blur:
        augmented = _blur(augmented, draws)
    return augmented.to(images.dtype)


def _jitter(images: Tensor, draws: AugmentationDraws) -> Tensor:
    """Apply the color operations to RGB images in 0 .. 1, in the order drawn."""
    operations = (
        (adjust_brightness, draws.brightness),
        (adjust_contrast, draws.contrast),
        (adjust_saturation, draws.saturation),
        (adjust_hue, draws.hue * (2 * math.pi)),
    )
    for index in draws.order:
        adjust, strength = operations[index]
        images = adjust(images, strength.to(images))
    return images.clamp(0, 1)


def _blur(images: Tensor, draws: AugmentationDraws) -> Tensor:
    """Blur each image with its own sigma."""
    height, width = images.shape[2:]
    kernel = (_blur_kernel_side(height), _blur_kernel_side(width))
    return gaussian_blur2d(images, kernel, draws.sigma.to(images).unsqueeze(1).expand(-1, 2))


def _blur_kernel_side(side: int) -> int:
    """Largest odd number that is not greater than ceil(side / 10)."""
    tenth = math.ceil(side / 10)
    return tenth - 1 + tenth % 2
