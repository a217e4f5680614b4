# Licensed under the Apache License 2.0, see LICENSE.
"""Test-time augmentation of segmentation and depth."""

import math
from collections.abc import Sequence

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel
from mmseg.registry import MODELS
from mmseg.utils import SampleList


@MODELS.register_module()
class DepthTTAModel(SegTTAModel):
    """MMSeg's merging of augmented predictions, of depth too.

    An image scaled by ``s`` is what a camera of ``s`` times the focal length sees: everything looks
    about ``s`` times as near, and a network trained at one focal length is wrong elsewhere. So
    depth is merged over the views whose scale is nearest to 1 alone (both flips, as a rule), and
    divided by that scale.

    Args:
        **kwargs: Arguments of MMSeg's ``SegTTAModel``.
    """

    def merge_preds(self, data_samples_list: Sequence[SampleList]) -> SampleList:
        """Merge the predictions of all views.

        Args:
            data_samples_list (Sequence[Sequence[SegDataSample]]): Per image the samples of its
                views, with ``seg_logits`` and perhaps ``pred_depth_map`` in the size and
                orientation of the image; the metainfo ``scale_factor`` is the scale of the view.

        Returns:
            list[SegDataSample]: Per image one with ``pred_sem_seg`` and perhaps ``pred_depth_map``,
            float, (1, H, W), inverse depth at scale 1.
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
