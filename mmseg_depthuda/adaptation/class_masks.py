# Licensed under the Apache License 2.0, see LICENSE.
"""Masks that cut whole classes out of a labelled image."""

import torch
from torch import Tensor


def class_mix_mask(label: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draw the ClassMix mask: per image, the pixels of half of the classes present.

    Of the ``n`` distinct values in an image's label, ``ceil(n / 2)`` are drawn without replacement;
    the mask is true on their pixels. The ignore value counts as a class like any other.

    Args:
        label: ``(N, H, W)`` or ``(N, 1, H, W)`` int64, values from 0 to a few hundred.
        generator: CPU generator to draw from; torch's global CPU generator if ``None``. The draws
            are made on the CPU, so that one seed gives one mask on every device.

    Returns:
        Bool tensor of the shape and device of ``label``, true where the source pixel is kept.

    Raises:
        ValueError: If the shape or the dtype of ``label`` is another one.
        RuntimeError: From PyTorch, if ``label`` holds a negative value.

    Source:
        Olsson et al., ClassMix: Segmentation-Based Data Augmentation for Semi-Supervised Learning,
        WACV 2021; with the source label in place of predictions, Tranheden et al., DACS, WACV 2021.

    Example:
        >>> mask = class_mix_mask(torch.tensor([[[7, 7, 7]]]))  # one class: half, rounded up, is it
        >>> mask
        tensor([[[True, True, True]]])
    """
    if label.ndim not in (3, 4) or (label.ndim == 4 and label.shape[1] != 1):
        raise ValueError(f'label must be (N, H, W) or (N, 1, H, W), got {tuple(label.shape)}')
    if label.dtype != torch.int64:
        raise ValueError(f'label must be int64, got {label.dtype}')

    masks = []
    for image_label in label:
        # Counting and a table look-up are linear in the pixels, where unique() sorts them.
        present = image_label.flatten().bincount() > 0
        classes = present.nonzero().flatten()
        order = torch.randperm(len(classes), generator=generator)
        chosen = classes[order[: (len(classes) + 1) // 2].to(label.device)]
        is_chosen = torch.zeros_like(present)
        is_chosen[chosen] = True
        masks.append(is_chosen[image_label])
    return torch.stack(masks)
