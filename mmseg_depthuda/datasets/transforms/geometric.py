# Licensed under the Apache License 2.0, see LICENSE.
"""Resizing and padding of images together with labels and depth."""

from collections.abc import Sequence

import cv2
import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, Pad, RandomFlip, TestTimeAug
from mmseg.datasets.transforms import PackSegInputs, Resize
from mmseg.registry import TRANSFORMS

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH, valid_depth

from ..label_protocols import IGNORE_INDEX


def resize_depth_bilinear(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize inverse depth bilinearly without mixing valid and invalid pixels.

    Bilinear interpolation of the valid values, their weights normalized to sum 1 (normalized
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
    # The nearest of the four neighbors has at least a quarter of the weight, so this never divides
    # by 0.
    np.divide(values, weights, out=resized, where=nearest.astype(bool))
    return resized


@TRANSFORMS.register_module()
class ResizeWithDepth(Resize):
    """MMSeg's ``Resize``, which resizes all ``seg_fields`` to the nearest neighbor, with bilinear
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
class ResizeAndPad(ResizeWithDepth):
    """Give images of any aspect ratio one size: as large as fits, the rest padded right and below.

    MMCV's ``Resize(keep_ratio=True)`` turns the box for portrait images: to 640x320, it makes a
    3000x4000 image 320x427, which does not fit.

    Padding is ``pad_val`` in the image, 255 (ignored) in labels, invalid in depth. Where
    ``gt_seg_map`` or ``gt_depth_map`` are loaded after this transform, they keep their size. The
    padding is then to be cut off the prediction before it is resized to theirs, which MMSeg does
    if the sample says so: ``PackSegInputs(meta_keys=('img_path', 'ori_shape', 'img_shape',
    'pad_shape', 'img_padding_size'))``. After :class:`MatchOriShapeToLabels` this is not needed: it
    compares padding with padding. :class:`CutPadding` undoes the padding, for example before
    test-time augmentation. Datasets with ``test_mode=True`` refuse other pipelines
    (:func:`check_padding_is_cut`).

    Required keys: ``img``, ``seg_fields`` (optional). Modified: ``img``, ``img_shape`` (padded) and
    all ``seg_fields``. Added: ``scale_factor``, ``pad_shape``, and ``img_padding_size``, the pixels
    ``(left, right, top, bottom)`` that are padding.

    Args:
        scale: ``(width, height)`` of the result in pixels.
        pad_val: Value of the padding in the image, for each of its channels in the order of the
            file's loader (BGR). The network sees 0 where it is the mean of the data preprocessor.
        **kwargs: As in :class:`ResizeWithDepth`: ``interpolation``, ``depth_interpolation``,
            ``backend``. ``interpolation='area'`` averages what falls into a pixel; the others skip
            most pixels of a large image.

    Raises:
        ValueError: If ``scale`` or ``pad_val`` do not have this form, or ``keep_ratio`` or
            ``scale_factor`` are given.
    """

    def __init__(self, scale: Sequence[int], pad_val: Sequence[float], **kwargs) -> None:
        if not _is_sequence(scale, 2) or min(scale) < 1:
            raise ValueError(f'scale={scale!r} must be (width, height) in pixels.')
        if not _is_sequence(pad_val, 3) or not all(0 <= value <= 255 for value in pad_val):
            raise ValueError(
                f'pad_val={pad_val!r} must be three values of 0..255, one per channel.'
            )
        if rejected := kwargs.keys() & {'keep_ratio', 'scale_factor'}:
            raise ValueError(f'ResizeAndPad does not take {sorted(rejected)}: it keeps the ratio.')
        super().__init__(scale=tuple(scale), **kwargs)
        self.pad_val = tuple(round(value) for value in pad_val)

    def transform(self, results: dict) -> dict:
        results = super().transform(results)
        height, width = results['img_shape']
        shape = self.scale[::-1]
        results['img'] = mmcv.impad(results['img'], shape=shape, pad_val=self.pad_val)
        for key in results.get('seg_fields', ()):  # MMSegInferencer's samples have none
            fill = INVALID_DEPTH if key == 'gt_depth_map' else IGNORE_INDEX
            results[key] = mmcv.impad(results[key], shape=shape, pad_val=fill)
        results['img_shape'] = shape
        results['pad_shape'] = results['img'].shape
        results['img_padding_size'] = (0, shape[1] - width, 0, shape[0] - height)
        return results

    def _resize_img(self, results: dict) -> None:
        height, width = results['img'].shape[:2]
        factor = min(self.scale[0] / width, self.scale[1] / height)
        # Labels and depth are resized to this scale, too.
        results['scale'] = max(round(width * factor), 1), max(round(height * factor), 1)
        super()._resize_img(results)

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, pad_val={self.pad_val})'


@TRANSFORMS.register_module()
class CutPadding(BaseTransform):
    """Cut the padding of :class:`ResizeAndPad` off the image, unless the labels are padded, too.

    For test-time augmentation, whose scales and flips would move the padding. Padded labels need no
    cut: :class:`MatchOriShapeToLabels` compares padding with padding, which is ignored. Does
    nothing for an image that is not padded.

    Modified keys: ``img``, ``img_shape``, ``pad_shape``; removed: ``img_padding_size``.
    """

    def transform(self, results: dict) -> dict:
        labels = results.get('gt_seg_map')
        if labels is not None and labels.shape == results['img_shape']:
            return results
        left, right, top, bottom = results.pop('img_padding_size', (0, 0, 0, 0))
        height, width = results['img'].shape[:2]
        image = results['img'][top : height - bottom, left : width - right]
        results['img'] = np.ascontiguousarray(image)
        results['img_shape'] = image.shape[:2]
        results['pad_shape'] = image.shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def check_padding_is_cut(transforms: Sequence[BaseTransform], labeled: bool) -> None:
    """Refuse a test pipeline after which MMSeg would stretch padding over the image.

    Args:
        transforms: Transforms of a test pipeline.
        labeled: Whether samples have labels.

    Raises:
        ValueError: MMCV's ``Pad`` is among them, :class:`ResizeAndPad` is followed by a transform
            that moves the padding, or the packed sample does not say how large it is.
    """
    padded = False
    for transform in transforms:
        name = type(transform).__name__
        if isinstance(transform, Pad):
            raise ValueError(
                f'{name} in a test pipeline: its padding would be predicted and stretched over the '
                'image. Use ResizeAndPad, or pad to a divisor by '
                'model.data_preprocessor.test_cfg=dict(size_divisor=32).'
            )
        if isinstance(transform, ResizeAndPad):
            padded = True
        elif isinstance(transform, CutPadding) or (
            labeled and isinstance(transform, MatchOriShapeToLabels)
        ):
            padded = False
        elif padded and isinstance(transform, Resize | RandomFlip | TestTimeAug):
            raise ValueError(
                f'{name} after ResizeAndPad in a test pipeline would move the padding, which is '
                f"then not cut off the prediction. Put dict(type='CutPadding') before {name}."
            )
        elif (
            padded
            and isinstance(transform, PackSegInputs)
            and 'img_padding_size' not in transform.meta_keys
        ):
            raise ValueError(
                'PackSegInputs after ResizeAndPad in a test pipeline does not say what is '
                "padding, which is then not cut off the prediction. Add 'img_padding_size' to "
                f'its meta_keys: meta_keys={(*transform.meta_keys, "img_padding_size")}.'
            )


def _is_sequence(value: object, length: int) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and len(value) == length


@TRANSFORMS.register_module()
class MatchOriShapeToLabels(BaseTransform):
    """Make MMSeg predict and evaluate at the size of the (resized) label map instead of the size of
    the file.

    Published Cityscapes results of CorDA and others compare at 1024x512. Place it after a resize
    that comes after :class:`LoadLabels`. Without labels, as in MMSegInferencer, predictions keep
    the size of the image file. Labels and depth stay as they are from here on: transforms after
    it, such as the scales and flips of test-time augmentation, change the image alone.

    Labels that :class:`ResizeAndPad` padded stay padded, and so does the prediction: padding is
    ignored because its label is 255.

    Modified keys: ``ori_shape``, ``seg_fields``; removed: ``img_padding_size``.

    Raises:
        ValueError: If the image is padded and its labels are not.
    """

    def transform(self, results: dict) -> dict:
        if 'gt_seg_map' in results:
            shape = results['gt_seg_map'].shape
            if any(results.pop('img_padding_size', ())) and shape != results['img_shape']:
                raise ValueError(
                    f'img_path: {results["img_path"]} is padded, and its labels are not, so that '
                    'MatchOriShapeToLabels cannot compare them. Load the labels before '
                    "ResizeAndPad, or put dict(type='CutPadding') before MatchOriShapeToLabels."
                )
            results['ori_shape'] = shape
            results['seg_fields'] = []
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
