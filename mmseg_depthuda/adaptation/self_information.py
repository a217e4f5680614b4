# Licensed under the Apache License 2.0, see LICENSE.
"""Weighted self-information, which entropy-based adaptation aligns; alone or fused with a map."""

import math

import torch
from torch import Tensor


def weighted_self_information(logits: Tensor) -> Tensor:
    r"""Share of every class in the uncertainty of a pixel, :math:`-p_c \log p_c / \log C`.

    The sum over the classes is the normalized entropy of the pixel: 1 where all classes are equally
    likely, 0 where one class is certain.

    Args:
        logits: (N, C, H, W), floating point, C > 1, at the resolution to align.

    Returns:
        Same shape, float32 (float64 for float64 logits), each value in 0..1.

    Raises:
        ValueError: If there are not at least two classes.

    Source:
        Vu et al., "ADVENT: Adversarial Entropy Minimization for Domain Adaptation in Semantic
        Segmentation", CVPR 2019, eq. 2 and sec. 3.3; DADA, eq. 5.

    Example:
        >>> weighted_self_information(torch.zeros(1, 2, 1, 1)).flatten()  # two equal classes
        tensor([0.5000, 0.5000])
    """
    if logits.ndim != 4 or logits.shape[1] < 2:
        raise ValueError(
            'self-information needs logits (N, C, H, W) of at least two classes, got '
            f'{tuple(logits.shape)}'
        )
    # The logarithm of the softmax stays finite where the softmax itself is 0.
    dtype = torch.promote_types(logits.dtype, torch.float32)
    log_probability = logits.log_softmax(dim=1, dtype=dtype)
    return log_probability.exp() * log_probability * (-1 / math.log(logits.shape[1]))


def mean_entropy(logits: Tensor) -> Tensor:
    """Normalized entropy of the predicted classes, averaged over the pixels.

    Args:
        logits: (N, C, H, W), floating point, C > 1.

    Returns:
        Scalar in 0..1.

    Source:
        Direct entropy minimization ("MinEnt") of Vu et al., ADVENT, CVPR 2019, eq. 3.
    """
    return weighted_self_information(logits).sum(dim=1).mean()


def fuse_with_map(information: Tensor, factor: Tensor) -> Tensor:
    """Self-information times a map.

    With inverse depth ("DADA fusion") near surfaces have more weight.

    Args:
        information: Weighted self-information, (N, C, H, W).
        factor: Predicted inverse depth, or density, (N, 1, H, W), any scale.

    Returns:
        (N, C, H, W), the product.

    Raises:
        ValueError: If the sizes differ. Broadcasting could hide that.

    Source:
        Vu et al., "DADA: Depth-Aware Domain Adaptation in Semantic Segmentation", ICCV 2019, sec.
        3.2; of density Wu and Liu, "Unsupervised Domain Adaptation for Semantic Segmentation using
        Depth Distribution", NeurIPS 2022.
    """
    batch, _, *size = information.shape
    if factor.shape != (batch, 1, *size):
        raise ValueError(
            f'the factor of self-information {tuple(information.shape)} must be '
            f'{(batch, 1, *size)}, got {tuple(factor.shape)}'
        )
    return information * factor
