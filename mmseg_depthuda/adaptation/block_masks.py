# Licensed under the Apache License 2.0, see LICENSE.
"""Masks of square blocks that hide parts of an image."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def block_mask(
    num_images: int,
    size: Sequence[int],
    block_size: int = 64,
    ratio: float = 0.7,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw which blocks of each image stay visible.

    The image is a grid of ``round(H / block_size) x round(W / block_size)`` cells, at least one
    each way. A cell stays visible where ``U(0, 1) > ratio``. The grid is enlarged to the size of
    the image by nearest neighbors.

    Args:
        num_images: N.
        size: ``(H, W)`` in pixels.
        block_size: Side of a block in pixels.
        ratio: Share of the blocks that are hidden on average, in ``0 .. 1``.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``.

    Returns:
        Bool, ``(N, 1, H, W)``, on the CPU, true where the image stays visible.

    Raises:
        ValueError: If ``block_size`` is not positive or ``ratio`` outside 0 .. 1.

    Source:
        Hoyer et al., MIC: Masked Image Consistency for Context-Enhanced Domain Adaptation,
        CVPR 2023, eq. 5, and its release.

    Example:
        >>> block_mask(1, (2, 4), block_size=2, ratio=0.0).all()
        tensor(True)
    """
    if block_size < 1:
        raise ValueError(f'block_size must be positive, got {block_size}')
    if not 0 <= ratio <= 1:
        raise ValueError(f'ratio must be in 0 .. 1, got {ratio}')
    cells = [max(round(side / block_size), 1) for side in size]
    kept = torch.rand((num_images, 1, *cells), generator=generator) > ratio
    return F.interpolate(kept.float(), size=tuple(size), mode='nearest').bool()
