# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import Resize
from mmseg.registry import TRANSFORMS

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH, valid_depth


def resize_depth_bilinear(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize inverse depth bilinearly without mixing valid and invalid pixels.

    Bilinear interpolation of the valid values, their weights normalised to sum 1 (normalised
    convolution, Knutsson and Westin, CVPR 1993). A pixel of the result is valid where the source
    pixel nearest to it is.

    Args:
        depth: Inverse depth, float32, (H, W).
        size: ``(width, height)`` of the result.

    Returns:
        float32, (height, width). Every valid value lies between the smallest and the largest valid
        value around it.
    """
    valid = valid_depth(depth)
    if valid.all():
        return cv2.resize(depth, size, interpolation=cv2.INTER_LINEAR)
    values = cv2.resize(np.where(valid, depth, np.float32(0)), size, interpolation=cv2.INTER_LINEAR)
    weights = cv2.resize(valid.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    nearest = cv2.resize(valid.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT)
    resized = np.full_like(values, INVALID_DEPTH)
    # The nearest of the four neighbours has at least a quarter of the weight, so this never divides
    # by 0.
    np.divide(values, weights, out=resized, where=nearest.astype(bool))
    return resized


@TRANSFORMS.register_module()
class ResizeWithDepth(Resize):
    """MMSeg's ``Resize``, which resizes all ``seg_fields`` to the nearest neighbour, with bilinear
    depth as an option.

    Required keys: ``img``, ``seg_fields``. Modified: ``img``, ``img_shape`` and all ``seg_fields``.

    Args:
        depth_interpolation: ``'nearest'`` or ``'bilinear'`` (see :func:`resize_depth_bilinear`),
            for ``gt_depth_map``.
        **kwargs: As in MMSeg's ``Resize``: ``scale``, ``keep_ratio``, ``interpolation`` of the
            image, ...
    """

    def __init__(self, depth_interpolation: str = 'nearest', **kwargs) -> None:
        super().__init__(**kwargs)
        if depth_interpolation not in ('nearest', 'bilinear'):
            raise ValueError(
                f"depth_interpolation={depth_interpolation!r} must be 'nearest' or 'bilinear'."
            )
        self.depth_interpolation = depth_interpolation

    def _resize_seg(self, results: dict) -> None:
        depth = results.get('gt_depth_map')
        if depth is None or self.depth_interpolation == 'nearest':
            super()._resize_seg(results)
            return
        seg_fields = results['seg_fields']
        results['seg_fields'] = [key for key in seg_fields if key != 'gt_depth_map']
        super()._resize_seg(results)
        results['seg_fields'] = seg_fields
        height, width = results['img_shape']
        results['gt_depth_map'] = resize_depth_bilinear(depth, (width, height))


@TRANSFORMS.register_module()
class MatchOriShapeToLabels(BaseTransform):
    """Make MMSeg predict and evaluate at the size of the (resized) label map instead of the size of
    the file.

    Published Cityscapes results of CorDA and others compare at 1024x512. Place it after a resize
    that comes after :class:`LoadLabels`. Without labels, as in MMSegInferencer, predictions keep
    the size of the image file. Labels and depth stay as they are from here on: transforms behind
    it, such as the scales and flips of test-time augmentation, change the image alone.

    Modified keys: ``ori_shape``, ``seg_fields``.
    """

    def transform(self, results: dict) -> dict:
        if 'gt_seg_map' in results:
            results['ori_shape'] = results['gt_seg_map'].shape
            results['seg_fields'] = []
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
