# Licensed under the Apache License 2.0, see LICENSE.
"""Exponential moving average of the student's parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor


def ema_alpha(iteration: int, maximum: float = 0.999) -> float:
    """Decay of the average after the given iteration, ``min(1 - 1 / (iteration + 1), maximum)``.

    The decay is 0 at first, then 1/2, 2/3, and so on. So the initial weights are dropped in the
    first update, and until ``maximum`` is reached the average is the plain mean of all students.

    Args:
        iteration: Number of iterations done before this one, 0 in the first.
        maximum: Upper bound of the decay, in ``0 .. 1``.

    Returns:
        The decay, in ``0 .. maximum``.

    Raises:
        ValueError: If ``iteration`` is negative or ``maximum`` outside 0 .. 1.

    Source:
        Tarvainen and Valpola, Mean teachers are better role models, NeurIPS 2017.

    Example:
        >>> ema_alpha(0), ema_alpha(1), ema_alpha(100_000)
        (0.0, 0.5, 0.999)
    """
    if iteration < 0:
        raise ValueError(f'iteration must not be negative, got {iteration}')
    if not 0 <= maximum <= 1:
        raise ValueError(f'maximum must be in 0 .. 1, got {maximum}')
    return min(1 - 1 / (iteration + 1), maximum)


@torch.no_grad()
def ema_update(averaged: Sequence[Tensor], source: Sequence[Tensor], alpha: float) -> None:
    """Move each average towards its source in place: ``a <- alpha * a + (1 - alpha) * s``.

    One fused operation over all tensors instead of several kernels per tensor.

    Args:
        averaged: The averages, floating point; overwritten.
        source: Their sources, same number, shapes, dtypes and devices.
        alpha: Decay in ``0 .. 1``; 0 copies the source exactly, 1 keeps the average.

    Raises:
        ValueError: If ``alpha`` is outside 0 .. 1 or the two lists do not match.

    Example:
        >>> average, student = torch.tensor([1.0, 4.0]), torch.tensor([3.0, 0.0])
        >>> ema_update([average], [student], alpha=0.75)
        >>> average
        tensor([1.5000, 3.0000])
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha must be in 0 .. 1, got {alpha}')
    if len(averaged) != len(source):
        raise ValueError(f'{len(averaged)} averages cannot follow {len(source)} sources')
    for index, (average, tensor) in enumerate(zip(averaged, source, strict=True)):
        if average.shape != tensor.shape or average.dtype != tensor.dtype:
            raise ValueError(
                f'average {index} is {average.dtype} of shape {tuple(average.shape)}, its source '
                f'{tensor.dtype} of shape {tuple(tensor.shape)}'
            )
    torch._foreach_lerp_(list(averaged), list(source), 1 - alpha)
