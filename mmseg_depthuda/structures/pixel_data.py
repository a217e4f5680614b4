# Licensed under the Apache License 2.0, see LICENSE.
"""Stack the pixel maps of a batch, and resize predictions."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.utils import SampleList
from torch import Tensor

from .sample_fields import sample_field


def stack_pixel_data(batch_data_samples: SampleList, name: str) -> Tensor | None:
    """Stack one pixel map of all samples of a batch.

    Args:
        batch_data_samples (list[SegDataSample]): The samples.
        name (str): Field of :data:`SAMPLE_FIELDS` to stack, e.g. ``'gt_depth_map'``.

    Returns:
        Tensor, optional: (N, 1, H, W); None if no sample has the field.

    Raises:
        KeyError: There is no field of this name.
        ValueError: If some samples of the batch have the field and others do not.
    """
    sample_field(name)
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


def stack_required(batch_data_samples: SampleList, name: str) -> Tensor:
    """Stack a pixel map that the caller cannot do without.

    Args:
        batch_data_samples (list[SegDataSample]): The samples.
        name (str): Field of :data:`SAMPLE_FIELDS`.

    Returns:
        Tensor: (N, 1, H, W).

    Raises:
        KeyError: There is no field of this name.
        ValueError: A sample lacks the field; the message says who writes it.
    """
    stacked = stack_pixel_data(batch_data_samples, name)
    if stacked is None:
        raise ValueError(
            f'{batch_data_samples[0].metainfo.get("img_path")} has no {name!r} in its sample. '
            f'This field is written by: {sample_field(name).written_by}.'
        )
    return stacked


def upsample(prediction: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Resize a prediction (N, C, h, w) bilinearly to (N, C, H, W), unless it has that size."""
    if tuple(prediction.shape[2:]) == tuple(size):
        return prediction
    return resize(prediction, size, mode='bilinear', align_corners=align_corners, warning=False)


def pack_pixel_data(data_samples: SampleList, maps: Mapping[str, Tensor]) -> None:
    """Give every sample its own part of some stacked maps: the inverse of :func:`stack_pixel_data`.

    Args:
        data_samples (list[SegDataSample]): N samples, changed in place.
        maps (Mapping[str, Tensor]): Name of a field -> its map, (N, 1, H, W).

    Raises:
        KeyError: A name is no field.
        ValueError: A map has another number of images, or another dtype than its field.
    """
    for name, values in maps.items():
        field = sample_field(name)
        kind = 'float' if values.is_floating_point() else str(values.dtype).removeprefix('torch.')
        if values.ndim != 4 or values.shape[:2] != (len(data_samples), 1) or kind != field.dtype:
            raise ValueError(
                f'{name} of {len(data_samples)} samples must be {field.dtype}, '
                f'({len(data_samples)}, 1, H, W), got {values.dtype}, {tuple(values.shape)}'
            )
        for sample, own in zip(data_samples, values, strict=True):
            sample.set_data({name: PixelData(data=own)})
