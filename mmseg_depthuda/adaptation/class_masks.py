# Licensed under the Apache License 2.0, see LICENSE.
"""Masks that cut whole classes out of a labeled image."""

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_half_of_classes(
    label: Tensor, generator: torch.Generator | None = None, round_up: bool = True
) -> list[Tensor]:
    """Draw, per image, half of the classes present.

    The label of an image has ``n`` distinct values; ``ceil(n / 2)`` of them are drawn without
    replacement, or ``floor(n / 2)``.
    The ignore value counts as a class like any other.

    Args:
        label: ``(N, H, W)`` or ``(N, 1, H, W)`` int64, values from 0 to a few hundred.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``. The draws
            are made on the CPU, so that one seed gives one mask on every device.
        round_up: Whether half of an odd number is rounded up. Rounded down, half of one class is
            none.

    Returns:
        N int64 tensors of class indices, on the device of ``label``.

    Raises:
        ValueError: If the shape or the dtype of ``label`` is another one.
        RuntimeError: From PyTorch, if ``label`` holds a negative value.

    Source:
        Olsson et al., ClassMix: Segmentation-Based Data Augmentation for Semi-Supervised Learning,
        WACV 2021. Down: Hoyer et al., CVPR 2021, its release, for mixing within a domain.

    Example:
        >>> draw_half_of_classes(torch.tensor([[[7, 7, 7]]]))  # half of one class, rounded up
        [tensor([7])]
    """
    _check_label(label)
    drawn = []
    for image_label in label:
        # Counting is linear in the pixels, where unique() sorts them.
        classes = (image_label.flatten().bincount() > 0).nonzero().flatten()
        order = torch.randperm(len(classes), generator=generator)
        drawn.append(classes[order[: (len(classes) + round_up) // 2].to(label.device)])
    return drawn


def class_mask(label: Tensor, classes: Sequence[Tensor | Sequence[int]]) -> Tensor:
    """The pixels of some classes of each image.

    Args:
        label: ``(N, H, W)`` or ``(N, 1, H, W)`` int64, values from 0 to a few hundred.
        classes: Class indices of each image. Classes that the image does not have are ignored.

    Returns:
        Bool tensor of the shape and device of ``label``.

    Raises:
        ValueError: If ``label`` has another shape or dtype, or the number of sets of classes is not
            the number of images.

    Example:
        >>> class_mask(torch.tensor([[[7, 1, 7]]]), [[7]])
        tensor([[[ True, False,  True]]])
    """
    _check_label(label)
    masks = []
    for image_label, chosen in zip(label, classes, strict=True):
        chosen = torch.as_tensor(chosen, dtype=torch.int64, device=label.device)
        size = 1 + max([int(image_label.max()), *chosen.tolist()])
        is_chosen = torch.zeros(size, dtype=torch.bool, device=label.device)
        is_chosen[chosen] = True
        masks.append(is_chosen[image_label])  # a table look-up, linear in the pixels
    return torch.stack(masks)


def class_mix_mask(label: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw the ClassMix mask: per image, the pixels of half of the classes present.

    :func:`class_mask` of :func:`draw_half_of_classes`.

    Args:
        label: ``(N, H, W)`` or ``(N, 1, H, W)`` int64, values from 0 to a few hundred.
        generator: See :func:`draw_half_of_classes`.

    Returns:
        Bool tensor of the shape and device of ``label``, true where the source pixel is kept.

    Raises:
        ValueError: If the shape or the dtype of ``label`` is another one.
        RuntimeError: From PyTorch, if ``label`` holds a negative value.

    Source:
        Olsson et al., ClassMix, WACV 2021; with the source label in place of predictions,
        Tranheden et al., DACS, WACV 2021.

    Example:
        >>> class_mix_mask(torch.tensor([[[7, 7, 7]]]))
        tensor([[[True, True, True]]])
    """
    return class_mask(label, draw_half_of_classes(label, generator))


def _check_label(label: Tensor) -> None:
    if label.ndim not in (3, 4) or (label.ndim == 4 and label.shape[1] != 1):
        raise ValueError(f'label must be (N, H, W) or (N, 1, H, W), got {tuple(label.shape)}')
    if label.dtype != torch.int64:
        raise ValueError(f'label must be int64, got {label.dtype}')
