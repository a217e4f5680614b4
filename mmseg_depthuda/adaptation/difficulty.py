# Licensed under the Apache License 2.0, see LICENSE.
"""Adaptation difficulty of CorDA: where the depth decoders of the two domains disagree.

A pixel is easy to adapt where the source decoder and the target decoder predict the same depth. Its
pseudo-label can be trusted there. Paper and release differ:

* The paper takes :func:`depth_agreement` of the target image, each image on its own.
* The release takes it of the mixed image, with ``offset=0.001``, and divides it by its mean
  (:func:`unit_mean`). It weights every image of the batch by the mean map of all images
  (:func:`batch_mean`).

Under ``torch.distributed`` both means are taken over the images of all processes. All batches must
have one size, and every process must call these functions.

Source: Wang et al., Domain Adaptive Semantic Segmentation with Self-Supervised Depth Estimation,
ICCV 2021 (CorDA), eq. 9.
"""

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmseg_depthuda.adaptation.depth import valid_depth


@torch.no_grad()
def depth_agreement(
    depth_source: Tensor, depth_target: Tensor, reference: Tensor, offset: float = 0.0
) -> Tensor:
    """Agreement of the two depth decoders, relative to the reference depth (eq. 9 of CorDA).

    ``s = clip(relu(1 - |depth_source - depth_target| / reference) + offset, 0, 1)``; pixels without
    reference depth get 1. A pixel whose prediction is NaN gets 0, so the result is finite for any
    input.

    Args:
        depth_source: Inverse depth predicted by the source decoder, ``(N, 1, H, W)``.
        depth_target: Inverse depth predicted by the target decoder, ``(N, 1, H, W)``.
        reference: True inverse depth, ``(N, 1, H, W)``, valid where
            :func:`~mmseg_depthuda.adaptation.depth.valid_depth` says so.
        offset: Added before clipping: 0 in the paper, 0.001 in the release, where it keeps the
            mean of the map above 0.

    Returns:
        ``(N, 1, H, W)`` in ``0 .. 1``, float32 (float64 for float64 input), detached.

    Raises:
        ValueError: If the shapes are not all the same ``(N, 1, H, W)``.

    Example:
        >>> reference = torch.tensor([10.0, 10.0, 0.0]).view(1, 1, 1, 3)
        >>> depth_target = torch.tensor([12.0, 30.0, 30.0]).view(1, 1, 1, 3)
        >>> depth_agreement(torch.full_like(reference, 10.0), depth_target, reference)
        tensor([[[[0.8000, 0.0000, 1.0000]]]])
    """
    shapes = [tuple(depth.shape) for depth in (depth_source, depth_target, reference)]
    if len(set(shapes)) > 1 or len(shapes[0]) != 4 or shapes[0][1] != 1:
        raise ValueError(
            'depth_source, depth_target and reference must have one shape (N, 1, H, W), got '
            f'{shapes[0]}, {shapes[1]} and {shapes[2]}'
        )
    dtype = torch.promote_types(depth_source.dtype, torch.float32)
    difference = (depth_source.to(dtype) - depth_target.to(dtype)).abs()
    agreement = torch.relu(1 - difference / reference.to(dtype)) + offset
    agreement = agreement.nan_to_num(nan=0.0).clamp(0, 1)
    return torch.where(valid_depth(reference), agreement, 1.0)


@torch.no_grad()
def unit_mean(agreement: Tensor) -> Tensor:
    """Divide the maps of a batch by their common mean, so that the mean weight is 1.

    Args:
        agreement: ``(N, 1, H, W)``, not negative, finite.

    Returns:
        Tensor of the same shape and dtype with mean 1. If all values are 0, all become 1, which is
        the result for every uniform map.

    Example:
        >>> unit_mean(torch.tensor([0.25, 0.75]).view(1, 1, 1, 2))
        tensor([[[[0.5000, 1.5000]]]])
    """
    mean = agreement.mean()
    all_reduce(mean, 'mean')
    return torch.where(mean > 0, agreement / mean, 1.0)


@torch.no_grad()
def batch_mean(agreement: Tensor) -> Tensor:
    """Give every image of the batch the mean map of all images.

    The release multiplies a difficulty of shape ``(N, 1, H, W)`` with a cross entropy of shape
    ``(N, H, W)``. The product broadcasts to ``(N, N, H, W)``, and its mean weights each image by
    this map.

    Args:
        agreement: ``(N, 1, H, W)``.

    Returns:
        View of shape ``(N, 1, H, W)`` on the mean map, the same for all images; do not write to it.

    Example:
        >>> batch_mean(torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)).flatten()
        tensor([0.5000, 0.5000])
    """
    mean = agreement.mean(dim=0, keepdim=True)
    all_reduce(mean, 'mean')
    return mean.expand_as(agreement)
