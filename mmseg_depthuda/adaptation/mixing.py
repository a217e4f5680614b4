# Licensed under the Apache License 2.0, see LICENSE.
"""Paste pixels of one image into another."""

import torch
from torch import Tensor


def mix(source: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Take ``source`` where the mask is true and ``target`` elsewhere.

    The result is ``M * source + (1 - M) * target``. Values are selected, not multiplied: a NaN that
    is not selected has no effect.

    Args:
        source: ``(N, C, H, W)`` or ``(N, H, W)``: images, labels, depth or weights, any dtype.
        target: Of the shape, dtype and device of ``source``.
        mask: Bool, of the shape of ``source``, or ``(N, 1, H, W)`` for all its channels.

    Returns:
        Tensor of the shape and dtype of ``source``.

    Raises:
        ValueError: If shapes or dtypes do not fit. Only channels are broadcast: images
            ``(N, H, W)`` with masks ``(N, 1, H, W)`` would silently get every mask on every image.

    Source:
        Tranheden et al., DACS: Domain Adaptation via Cross-domain Mixed Sampling, WACV 2021.

    Example:
        >>> mask = torch.tensor([[[True, False]]])
        >>> mix(torch.tensor([[[1, 2]]]), torch.tensor([[[8, 9]]]), mask)
        tensor([[[1, 9]]])
    """
    if source.shape != target.shape:
        raise ValueError(
            f'source and target must have one shape, got {tuple(source.shape)} and '
            f'{tuple(target.shape)}'
        )
    if source.dtype != target.dtype:
        raise ValueError(
            f'source and target must have one dtype, got {source.dtype} and {target.dtype}'
        )
    if mask.dtype != torch.bool:
        raise ValueError(f'mask must be bool, got {mask.dtype}')
    shared_by_channels = source.ndim == 4 and mask.shape == (source.shape[0], 1, *source.shape[2:])
    if mask.shape != source.shape and not shared_by_channels:
        raise ValueError(
            f'mask must have the shape of source, {tuple(source.shape)}, or one channel of it, '
            f'got {tuple(mask.shape)}'
        )
    return torch.where(mask, source, target)
