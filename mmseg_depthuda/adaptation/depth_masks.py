# Licensed under the Apache License 2.0, see LICENSE.
"""Masks that paste what is in front, and the cost that compares the geometry of two images."""

import torch
from torch import Tensor

from .depth import valid_depth


def min_max_normalized(inverse_depth: Tensor) -> Tensor:
    """Scale each map so that its farthest pixel is 0 and its nearest 1.

    ``(d - min d) / (max d - min d)`` over the pixels with a depth. Scale and offset of the map,
    which differ between encodings, have no effect.

    Args:
        inverse_depth: ``(N, 1, H, W)``, floating point, see
            :func:`~mmseg_depthuda.adaptation.depth.valid_depth`.

    Returns:
        Of the same shape and dtype, in ``0 .. 1``. 0 where there is no depth, and everywhere in a
        map of one depth: ask :func:`~mmseg_depthuda.adaptation.depth.valid_depth` before.

    Raises:
        ValueError: If the shape or the dtype is another one.

    Source:
        Hoyer et al., Three Ways to Improve Semantic Segmentation with Self-Supervised Depth
        Estimation, CVPR 2021, its stored pseudo depth.

    Example:
        >>> min_max_normalized(torch.tensor([[[[2.0, 4.0, 6.0, 0.0]]]]))
        tensor([[[[0.0000, 0.5000, 1.0000, 0.0000]]]])
    """
    _check_depth('inverse_depth', inverse_depth)
    valid = valid_depth(inverse_depth)
    low = inverse_depth.masked_fill(~valid, torch.inf).amin(dim=(1, 2, 3), keepdim=True)
    high = inverse_depth.masked_fill(~valid, -torch.inf).amax(dim=(1, 2, 3), keepdim=True)
    extent = high - low  # -inf without a valid pixel
    unit = (inverse_depth - low) / extent.masked_fill(extent <= 0, 1)
    return unit.masked_fill(~valid, 0)


def depth_mix_mask(
    pasted: Tensor,
    onto: Tensor,
    margin: Tensor | float = 0.03,
    threshold: Tensor | float = 0.0,
    normalize: bool = True,
) -> Tensor:
    """The DepthMix mask: the pixels of one image that are in front of those of another one.

    ``M = (d_pasted >= d_onto - margin) * (d_pasted >= threshold)``. A pixel without depth counts as
    infinitely far: it is never pasted, and whatever has a depth is in front of it.

    Args:
        pasted: Inverse depth of the images that are cut out, ``(N, 1, H, W)``, floating point.
        onto: Inverse depth of the images below, of the same shape.
        margin: How much farther a pasted pixel may be; negative: how much nearer it must be. A
            number, or one for each image, ``(N, 1, 1, 1)``.
        threshold: Foreground: only nearer pixels are pasted. Likewise.
        normalize: Compare :func:`min_max_normalized` depth. Otherwise the values are compared as
            they are, and margin and threshold are in their unit.

    Returns:
        Bool ``(N, 1, H, W)``, true where the pixel is pasted.

    Raises:
        ValueError: If shapes or dtypes are others.

    Source:
        Hoyer et al., CVPR 2021, eq. of DepthMix; the margin: its release.

    Example:
        >>> near, far = torch.tensor([[[[9.0, 1.0, 0.0]]]]), torch.tensor([[[[1.0, 9.0, 0.0]]]])
        >>> depth_mix_mask(near, far)
        tensor([[[[ True, False, False]]]])
    """
    _check_depth('pasted', pasted)
    _check_depth('onto', onto)
    if pasted.shape != onto.shape:
        raise ValueError(
            f'pasted and onto must have one shape, got {tuple(pasted.shape)} and '
            f'{tuple(onto.shape)}'
        )
    has_depth, below = valid_depth(pasted), valid_depth(onto)
    if normalize:
        pasted, onto = min_max_normalized(pasted), min_max_normalized(onto)
    margin, threshold = (torch.as_tensor(x).to(pasted) for x in (margin, threshold))
    in_front = (pasted >= onto - margin) | ~below
    return has_depth & in_front & (pasted >= threshold)


def draw_margins(
    num_images: int, margin: float, flip: bool, generator: torch.Generator | None = None
) -> Tensor:
    """Draw the margin of each image.

    Args:
        num_images: N.
        margin: Its size.
        flip: Whether to change its sign with probability 0.5, for each image. One random number per
            image is drawn if so.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``.

    Returns:
        ``(N, 1, 1, 1)``, float64, on the CPU.

    Source:
        Hoyer et al., Improving Semi-Supervised and Domain-Adaptive Semantic Segmentation with
        Self-Supervised Depth Estimation, IJCV 2023, its release.

    Example:
        >>> draw_margins(2, 0.5, flip=False).flatten()
        tensor([0.5000, 0.5000], dtype=torch.float64)
    """
    margins = torch.full((num_images, 1, 1, 1), margin, dtype=torch.float64)
    if flip:
        margins[torch.rand(margins.shape, generator=generator) < 0.5] *= -1
    return margins


def draw_thresholds(
    num_images: int, low: float, high: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw the foreground threshold of each image, uniformly in a range.

    Args:
        num_images: N.
        low: Least threshold.
        high: Greatest threshold. If it equals ``low``, no random number is drawn.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``.

    Returns:
        ``(N, 1, 1, 1)``, float64, on the CPU.

    Source:
        Hoyer et al., CVPR 2021, its release.

    Example:
        >>> draw_thresholds(2, 0.25, 0.25).flatten()
        tensor([0.2500, 0.2500], dtype=torch.float64)
    """
    thresholds = torch.full((num_images, 1, 1, 1), low, dtype=torch.float64)
    if high > low:
        thresholds += (high - low) * torch.rand(thresholds.shape, generator=generator)
    return thresholds


def _check_depth(name: str, depth: Tensor) -> None:
    if depth.ndim != 4 or depth.shape[1] != 1 or not depth.is_floating_point():
        raise ValueError(
            f'{name} must be floating point (N, 1, H, W), got {depth.dtype} {tuple(depth.shape)}'
        )
