# Licensed under the Apache License 2.0, see LICENSE.
"""Maps of a batch: stacking those of its samples, and resizing predictions."""

import torch
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor


def stack_pixel_data(batch_data_samples: SampleList, name: str) -> Tensor | None:
    """Stack one pixel map of a batch.

    Args:
        batch_data_samples (list[SegDataSample]): The samples.
        name (str): Field to stack, e.g. ``'gt_depth_map'``; its data is (C, H, W) in each sample.

    Returns:
        Tensor, optional: (N, C, H, W); None if no sample has the field.

    Raises:
        ValueError: If some samples of the batch have the field and others do not.
    """
    present = [name in sample for sample in batch_data_samples]
    if not any(present):
        return None
    if not all(present):
        lacking = [
            s.metainfo.get('img_path')
            for s, p in zip(batch_data_samples, present, strict=True)
            if not p
        ]
        raise ValueError(
            f'{name!r} is present in some samples of a batch and missing in others: {lacking}. '
            'Give it for every image of a domain, or for none.'
        )
    return torch.stack([sample.get(name).data for sample in batch_data_samples])


def upsample(prediction: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Resize a prediction (N, C, h, w) bilinearly to (N, C, H, W), unless it has that size."""
    if tuple(prediction.shape[2:]) == tuple(size):
        return prediction
    return resize(prediction, size, mode='bilinear', align_corners=align_corners, warning=False)
