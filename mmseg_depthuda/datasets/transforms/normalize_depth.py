# Licensed under the Apache License 2.0, see LICENSE.
"""Depth whose unit does not matter: one range for every image."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH, valid_depth

SMALLEST = 1 / 65535
"""The farthest depth of an image after normalization. It must differ from ``INVALID_DEPTH``."""


@TRANSFORMS.register_module()
class NormalizeInverseDepth(BaseTransform):
    """Stretch the inverse depth of an image to 1/65535 (its farthest pixel) .. 1 (its nearest).

    So depth files of every kind, of every unit and of none, become the disparity of Hoyer et al.
    (CVPR 2021). Files that are normalized already stay as they are. Put it before a crop: the range
    is that of the whole image.

    Does nothing for a sample without depth. Modified key: ``gt_depth_map`` (float32, (H, W)).
    Pixels without depth stay without; an image of one depth is 1 everywhere.
    """

    def transform(self, results: dict) -> dict:
        depth = results.get('gt_depth_map')
        if depth is None:
            return results
        valid = valid_depth(depth)
        if valid.any():
            low, high = depth[valid].min(), depth[valid].max()
            share = (depth - low) / (high - low) if high > low else np.ones_like(depth)
            stretched = SMALLEST + (1 - SMALLEST) * share
            results['gt_depth_map'] = np.where(valid, stretched, INVALID_DEPTH).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
