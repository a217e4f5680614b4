# Licensed under the Apache License 2.0, see LICENSE.
"""Test-time augmentation for segmentation and depth."""

import math
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList


@MODELS.register_module()
class DepthTTAModel(SegTTAModel):
    """MMSeg's ``SegTTAModel``, which also merges depth.

    A camera with ``s`` times the focal length would take an image that is scaled by ``s``. In it
    everything looks about ``s`` times as near, and a network that was trained with one focal length
    is wrong at others. So depth is averaged only over the views whose scale is nearest to 1 (as a
    rule with and without flip). The mean is divided by this scale.

    Args:
        **kwargs: Arguments of MMSeg's ``SegTTAModel``.
    """

    def merge_preds(self, data_samples_list: Sequence[SampleList]) -> SampleList:
        """Merge the predictions of all views of each image.

        Args:
            data_samples_list (Sequence[Sequence[SegDataSample]]): For each image the samples of its
                views. They have ``seg_logits`` and may have ``pred_depth_map``, in the size and
                orientation of the image. Their metainfo ``scale_factor`` is the scale of the view.

        Returns:
            list[SegDataSample]: One sample for each image, with ``pred_sem_seg``. If the views have
            depth, also with ``pred_depth_map``: inverse depth at scale 1, float, (1, H, W).
        """
        depths = [_mean_depth(views) for views in data_samples_list]
        merged = super().merge_preds(data_samples_list)
        for sample, depth in zip(merged, depths, strict=True):
            if depth is not None:
                sample.pred_depth_map = PixelData(data=depth)
        return merged


def _mean_depth(views: SampleList) -> torch.Tensor | None:
    if 'pred_depth_map' not in views[0]:
        return None
    heights = [view.metainfo['scale_factor'][1] for view in views]
    scale = min(heights, key=lambda height: abs(math.log(height)))
    depths = [
        view.pred_depth_map.data
        for view, height in zip(views, heights, strict=True)
        if height == scale
    ]
    return torch.stack(depths).mean(0) / scale
