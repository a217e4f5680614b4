# Licensed under the Apache License 2.0, see LICENSE.
"""Transforms of a frame together with its source views and its camera."""

from __future__ import annotations

from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.datasets.transforms import RandomCrop, RandomFlip, Resize
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample

from ..cameras import PinholeIntrinsics, check_calibrated_size, read_cityscapes_camera
from ..file_integrity import read_intact
from .pictures import decode_picture

MAX_PIXEL_ASPECT = 1.5  # images squeezed by less are taken as they are


@TRANSFORMS.register_module()
class LoadSequence(BaseTransform):
    """Load a frame, its source views, and the camera matrix for their size.

    Required keys: ``img_path``, ``source_paths``, ``frame_offsets``, and ``intrinsics`` or
    ``camera_path``, as a :class:`SequenceDataset` gives them. Optional: ``calibrated_size``, with
    ``camera_name`` for ``intrinsics``. Added: ``img`` (uint8, (H, W, 3), BGR), ``source_imgs``
    (list of such), ``camera_matrix`` (float64, (3, 3), pixels), ``right_from_left`` (meters that
    points move in x from the left camera to the right; only with a right image), ``img_shape``,
    ``ori_shape``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file is damaged, an image shows nothing (one color), the views differ in
            size or do not differ at all, or the camera does not fit the images.
    """

    def transform(self, results: dict) -> dict:
        return self.add_views(results, _read_frame(results['img_path'], 'img_path'))

    def add_views(self, results: dict, image: np.ndarray) -> dict:
        """Add a frame that has been read, its source views and its camera."""
        sources = [_read_frame(path, 'source_paths') for path in results['source_paths']]
        height, width = image.shape[:2]
        for path, source in zip(results['source_paths'], sources, strict=True):
            if source.shape != image.shape:
                raise ValueError(
                    f'{path} is {source.shape[1]}x{source.shape[0]}, but {results["img_path"]} of '
                    f'the same sequence is {width}x{height}. Views of one sequence must have one '
                    'size: put videos of different size into folders of their own.'
                )
        _check_views_differ(results, image, sources)
        calibrated_size = results.get('calibrated_size')
        if calibrated_size:
            name = results.get('camera_path') or results['camera_name']
            check_calibrated_size(name, calibrated_size, width, height, results['img_path'])
        if 'camera_path' in results:
            needs = ['fx', 'fy', 'u0', 'v0']
            if results.get('has_right'):
                needs.append('baseline')
            camera = read_cityscapes_camera(results['camera_path'], 'camera_path', needs)
            intrinsics = camera.intrinsics(*(calibrated_size or (width, height)))
            if results.get('has_right'):
                results['right_from_left'] = -camera.number('baseline')
        else:
            intrinsics = PinholeIntrinsics(**results['intrinsics'])
        results['camera_matrix'] = intrinsics.matrix(width, height)
        _check_square_pixels(results['img_path'], results['camera_matrix'], width, height)
        results.update(
            img=image, source_imgs=sources, img_shape=image.shape[:2], ori_shape=image.shape[:2]
        )
        return results


def _read_frame(path: str, key: str) -> np.ndarray:
    image = decode_picture(read_intact(path, key), path, key)
    if image.min() == image.max():
        raise ValueError(
            f'{key}: every value of {path} is {image.flat[0]}: it shows nothing. Remove the file; '
            'its neighbors are then left out by themselves.'
        )
    return image


def _check_views_differ(results: dict, image: np.ndarray, sources: list[np.ndarray]) -> None:
    same = [np.array_equal(image, source) for source in sources]
    if results.get('has_right') and same[-1]:
        raise ValueError(
            f'right_path: {results["source_paths"][-1]} is the same image as '
            f'{results["img_path"]}. Right images must come from the right camera.'
        )
    if all(same):
        raise ValueError(
            f'{results["img_path"]} is the same image as {", ".join(results["source_paths"])}: '
            'where nothing moves, there is no depth to learn. Remove repeated frames; those beside '
            'the gap are then left out by themselves.'
        )


def _check_square_pixels(path: str, matrix: np.ndarray, width: int, height: int) -> None:
    fx, fy = matrix[0, 0], matrix[1, 1]
    if not 1 / MAX_PIXEL_ASPECT <= fx / fy <= MAX_PIXEL_ASPECT:
        raise ValueError(
            f'{path}: the intrinsics give an image of {width}x{height} focal lengths of {fx:.0f} '
            f'pixels in x and {fy:.0f} in y, but pixels are nearly square. fx is a share of the '
            'width, fy of the height; in files, width and height are those of the calibration.'
        )


@TRANSFORMS.register_module()
class LoadNeighboringFrames(LoadSequence):
    """Load the neighboring frames of an image that has been loaded, and its camera.

    :class:`ResizeSequence`, :class:`RandomCropSequence` and :class:`RandomFlipSequence` then treat
    image, labels, depth, frames and camera alike. ``PackSegInputs`` packs the frames as
    ``source_views``, and ``frame_offsets`` and ``camera_matrix`` as metainfo.

    Required keys: ``img``, ``img_path``, ``source_paths``, ``frame_offsets``, ``camera_path``, as a
    :class:`DepthSegDataset` with the folders ``sequence_path`` and ``camera_path`` gives them.
    Added: ``source_imgs``, ``camera_matrix``.

    Args:
        calibrated_size: Width and height of the images that the camera files belong to. By default
            that of each image file; Cityscapes' is (2048, 1024), for resized copies of it.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: As :class:`LoadSequence`; or the dataset gives no frames, or no camera.
    """

    def __init__(self, calibrated_size: Sequence[int] | None = None) -> None:
        self.calibrated_size = None if calibrated_size is None else tuple(calibrated_size)

    def transform(self, results: dict) -> dict:
        for key, folder in dict(source_paths='sequence_path', camera_path='camera_path').items():
            if key not in results:
                raise ValueError(
                    f'LoadNeighboringFrames: the dataset of {results["img_path"]} has no folder '
                    f'data_prefix.{folder}. Set it, or take LoadNeighboringFrames out of the '
                    'pipeline.'
                )
        results['calibrated_size'] = self.calibrated_size
        return self.add_views(results, results['img'])


@TRANSFORMS.register_module()
class ResizeSequence(Resize):
    """MMSeg's ``Resize`` for all views and the camera matrix; labels and depth by nearest neighbor.

    Required keys: as :class:`LoadSequence` adds them. Modified: ``img``, ``source_imgs``,
    ``camera_matrix``, ``img_shape``, and all ``seg_fields``.

    Args:
        **kwargs: As in MMSeg's ``Resize``: ``scale`` (width, height), ``interpolation``, ...
    """

    def _resize_img(self, results: dict) -> None:
        super()._resize_img(results)
        height, width = results['img_shape']
        results['source_imgs'] = [
            mmcv.imresize(
                image, (width, height), interpolation=self.interpolation, backend=self.backend
            )
            for image in results['source_imgs']
        ]
        # Pixel centers are integers: the corner of the image is at -0.5 before and after.
        factor_x, factor_y = results['scale_factor']
        to_resized = np.array(
            [
                [factor_x, 0, (factor_x - 1) / 2],
                [0, factor_y, (factor_y - 1) / 2],
                [0, 0, 1],
            ]
        )
        results['camera_matrix'] = to_resized @ results['camera_matrix']


@TRANSFORMS.register_module()
class RandomCropSequence(RandomCrop):
    """MMSeg's ``RandomCrop`` for all views: the principal point moves with the crop.

    Required keys: as :class:`LoadSequence` adds them. Modified: ``img``, ``source_imgs``,
    ``camera_matrix``, ``img_shape``, and all ``seg_fields``.

    Args:
        **kwargs: As in MMSeg's ``RandomCrop``: ``crop_size`` (height, width), ``cat_max_ratio``.
    """

    def transform(self, results: dict) -> dict:
        bbox = self.crop_bbox(results)
        for key in ('img', *results.get('seg_fields', ())):
            results[key] = self.crop(results[key], bbox)
        results['source_imgs'] = [self.crop(image, bbox) for image in results['source_imgs']]
        results['img_shape'] = results['img'].shape[:2]
        top, _, left, _ = bbox
        to_crop = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
        results['camera_matrix'] = to_crop @ results['camera_matrix']
        return results


@TRANSFORMS.register_module()
class RandomFlipSequence(RandomFlip):
    """MMSeg's ``RandomFlip``, left to right, for all views: the principal point is mirrored.

    Motions between mirrored frames are mirrored motions, so nothing else of the camera changes.

    Required keys: as :class:`LoadSequence` adds them, without right images. Modified: ``img``,
    ``source_imgs``, ``camera_matrix``, and all ``seg_fields``. Added: ``flip``,
    ``flip_direction``, ``flipped_frames`` (bool).

    Args:
        prob: Probability, 0..1.

    Raises:
        ValueError: In use: there is a right image, which would have to become the left one.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob=prob, direction='horizontal')

    def _flip(self, results: dict) -> None:
        if 'right_from_left' in results:
            raise ValueError(
                'RandomFlipSequence does not take right images. Let '
                'SequenceDataPreProcessor(flip_prob=0.5) mirror pairs.'
            )
        super()._flip(results)
        results['source_imgs'] = [mmcv.imflip(image) for image in results['source_imgs']]
        mirror = np.array([[-1, 0, results['img'].shape[1] - 1], [0, 1, 0], [0, 0, 1.0]])
        # The second mirror turns the x axis of the camera, so that its focal length is positive.
        results['camera_matrix'] = mirror @ results['camera_matrix'] @ np.diag([-1.0, 1, 1])
        results['flipped_frames'] = True


@TRANSFORMS.register_module()
class PackSequenceInputs(BaseTransform):
    """Pack what :class:`SequenceDataPreProcessor` takes.

    Returns ``inputs`` (uint8 (V, 3, H, W) BGR: the frame, its source frames, the right image),
    ``intrinsics`` (float32 (3, 3), pixels), with a right image ``stereo_pose`` (float32 (4, 4),
    motion of points from the left camera to the right, meters), and ``data_samples``, whose
    metainfo has ``img_path``, ``source_paths``, ``frame_offsets``, ``img_shape`` and ``ori_shape``.
    """

    META_KEYS = ('img_path', 'source_paths', 'frame_offsets', 'img_shape', 'ori_shape')

    def transform(self, results: dict) -> dict:
        views = np.stack([results['img'], *results['source_imgs']])
        packed = dict(
            inputs=torch.from_numpy(np.ascontiguousarray(views.transpose(0, 3, 1, 2))),
            intrinsics=torch.from_numpy(results['camera_matrix']).float(),
            data_samples=SegDataSample(
                metainfo={key: results[key] for key in self.META_KEYS if key in results}
            ),
        )
        if 'right_from_left' in results:
            pose = torch.eye(4)
            pose[0, 3] = results['right_from_left']
            packed['stereo_pose'] = pose
        return packed
