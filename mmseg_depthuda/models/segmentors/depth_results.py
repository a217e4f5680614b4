# Licensed under the Apache License 2.0, see LICENSE.
"""Maps of a depth network at the size that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps (N, C, h, w) at another size, bilinear."""
    return F.interpolate(maps, size=tuple(size), mode='bilinear', align_corners=False)


def depth_results(
    maps: Tensor, data_samples: Sequence[SegDataSample] | None = None
) -> list[SegDataSample]:
    """Give samples their predicted depth.

    Args:
        maps (Tensor): At the size of the inputs, (N, 1, H, W).
        data_samples (Sequence[SegDataSample], optional): Their ``img_padding_size`` (left, right,
            top, bottom) is cut off. Then the map is resized to ``ori_shape``. Defaults to None: new
            samples, and the maps as they are.

    Returns:
        list[SegDataSample]: With ``pred_depth_map``, (1, H, W).
    """
    if data_samples is None:
        data_samples = [SegDataSample() for _ in maps]
    for sample, own in zip(data_samples, maps, strict=True):
        height, width = own.shape[1:]
        left, right, top, bottom = sample.metainfo.get('img_padding_size', (0,) * 4)
        own = own[None, :, top : height - bottom, left : width - right]
        size = sample.metainfo.get('ori_shape', own.shape[2:])
        sample.set_data({'pred_depth_map': PixelData(data=resized(own, size)[0])})
    return list(data_samples)
