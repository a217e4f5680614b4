# Licensed under the Apache License 2.0, see LICENSE.
"""Depth of any encoding as disparity in 0..1."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_depthuda.adaptation.depth import valid_depth

FARTHEST = np.finfo(np.float32).tiny
"""Value of the farthest pixel: as good as 0, and valid."""


@TRANSFORMS.register_module()
class NormalizeDepth(BaseTransform):
    """Scale inverse depth to 0..1, for methods that compare it between images.

    ``(d - low) / (high - low)``, where low and high are the least and the greatest value of the
    whole image: place it before the crop. Scale and offset of the encoding then have no effect.
    ``DepthMix(normalize=False)`` and ``match`` compare the result as it is, as the release of Hoyer
    et al. does. Pixels without depth stay so; the farthest pixels of the others stay valid, at the
    least positive float32. Does nothing for a sample without ``gt_depth_map``.

    Modified key: ``gt_depth_map`` (float32, (H, W)).

    Args:
        low: Value of 0 for every image instead; with ``high``. Files of 16-bit disparity whose
            value / 65535 is the disparity have ``low=1, high=256.99609375`` after
            :class:`LoadInverseDepth`.
        high: Value of 1.

    Raises:
        ValueError: Only one of the two is given, or ``low`` is not less than ``high``; in an image,
            a value lies outside of them.

    Source: Hoyer et al., CVPR 2021, stored pseudo depth.
    """

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        if (low is None) != (high is None) or (
            low is not None and high is not None and low >= high
        ):
            raise ValueError(f'low={low} and high={high} must be low < high, or both None.')
        self.range = (low, high) if low is not None and high is not None else None

    def transform(self, results: dict) -> dict:
        depth = results.get('gt_depth_map')
        if depth is None or not valid_depth(depth).any():
            return results
        valid = valid_depth(depth)
        known = float(depth[valid].min()), float(depth[valid].max())
        low, high = self.range or known
        if known[0] < low or known[1] > high:
            raise ValueError(
                f'depth_map_path: {results.get("depth_map_path")} has values of {known[0]:g} to '
                f'{known[1]:g}, outside of NormalizeDepth(low={low}, high={high}). Correct '
                'the two, or leave them out.'
            )
        unit = (depth - low) / ((high - low) or 1)
        results['gt_depth_map'] = np.where(valid, np.maximum(unit, FARTHEST), depth).astype(
            np.float32
        )
        return results

    def __repr__(self) -> str:
        low, high = self.range or (None, None)
        return f'{type(self).__name__}(low={low}, high={high})'
