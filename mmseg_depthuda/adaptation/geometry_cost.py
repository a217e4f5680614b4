# Licensed under the Apache License 2.0, see LICENSE.
"""How far the geometry of two scenes is apart."""

import torch
from torch import Tensor


@torch.no_grad()
def geometry_cost(
    target: Tensor, candidates: Tensor, ignore_top: int = 80, ignore_bottom: int = 100
) -> Tensor:
    """Mean difference of the logarithmic depth of some scenes from that of a target.

    ``mean |log(1 + d_target) - log(1 + d_candidate)|`` over all pixels of the map. The difference
    is 0 in the ignored rows, but these pixels count in the mean. A pixel without depth has the
    inverse depth 0: it counts as infinitely far, such as the sky.

    Args:
        target: Inverse depth, ``(1, H, W)``, floating point, not negative.
        candidates: Inverse depth in the same unit, ``(K, 1, H, W)``.
        ignore_top: Rows at the top of the map that are ignored.
        ignore_bottom: Rows at its bottom that are ignored.

    Returns:
        Costs, ``(K,)``, not negative; of the dtype of ``candidates``.

    Raises:
        ValueError: If the sizes differ, a number of rows is negative, or all rows would be ignored.

    Source:
        Hoyer et al., Improving Semi-Supervised and Domain-Adaptive Semantic Segmentation with
        Self-Supervised Depth Estimation, IJCV 2023, matching geometry; the rows: its release.

    Example:
        >>> scenes = torch.tensor([[[[0.0]]], [[[1.0]]], [[[3.0]]]])
        >>> geometry_cost(scenes[1], scenes, 0, 0)
        tensor([0.6931, 0.0000, 0.6931])
    """
    if candidates.shape[1:] != target.shape:
        raise ValueError(
            f'the depth of a candidate must have the size of the target, {tuple(target.shape)}, '
            f'got {tuple(candidates.shape[1:])}'
        )
    height = target.shape[1]
    if min(ignore_top, ignore_bottom) < 0 or ignore_top + ignore_bottom >= height:
        raise ValueError(
            f'ignore_top={ignore_top} and ignore_bottom={ignore_bottom} leave none of the '
            f'{height} rows of the depth, or are negative'
        )
    rows = slice(ignore_top, height - ignore_bottom)
    difference = target[:, rows].log1p() - candidates[:, :, rows].log1p()
    return difference.abs().sum(dim=(1, 2, 3)) / target.numel()
