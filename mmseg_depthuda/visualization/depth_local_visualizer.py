# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's drawing for predictions that come with depth, or at another size than the image file."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer


@VISUALIZERS.register_module()
class DepthLocalVisualizer(SegLocalVisualizer):
    """MMSeg's visualiser without two assumptions that fail here.

    It draws on the image file as it is, though the protocols of this field compare predictions at a
    smaller size, and it sets ground truth and prediction side by side, which needs depth in both or
    in neither.

    Args:
        **kwargs: Arguments of MMSeg's ``SegLocalVisualizer``.
    """

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: SegDataSample | None = None,
        *args,
        **kwargs,
    ) -> None:
        """Draw a sample and send it to the back ends.

        Args:
            name (str): Name of the picture.
            image (np.ndarray): RGB, uint8, (H, W, 3). It is resized to the maps of the sample.
            data_sample (SegDataSample, optional): Its labels and predictions are drawn. Where only
                the prediction has depth, the depth of the ground truth is drawn as 0 throughout.
            *args, **kwargs: The further arguments of MMSeg's method.
        """
        if data_sample is not None:
            data_sample = data_sample.clone()
            maps = data_sample.get('pred_sem_seg', data_sample.get('gt_sem_seg'))
            if maps is not None and tuple(maps.shape) != image.shape[:2]:
                height, width = maps.shape
                image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            if 'pred_depth_map' in data_sample and 'gt_depth_map' not in data_sample:
                blank = torch.zeros_like(data_sample.pred_depth_map.data)
                data_sample.gt_depth_map = PixelData(data=blank)
        super().add_datasample(name, image, data_sample, *args, **kwargs)
