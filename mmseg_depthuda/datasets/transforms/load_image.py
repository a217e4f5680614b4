# Licensed under the Apache License 2.0, see LICENSE.
"""MMCV's and MMSeg's loaders of images under their names, with the rules of ``docs/data.md``."""

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile
from mmengine import fileio
from mmseg.datasets.transforms import LoadImageFromNDArray as _LoadImageFromNDArray
from mmseg.registry import TRANSFORMS

from ..file_integrity import read_intact
from .pictures import decode_picture


@TRANSFORMS.register_module()
class LoadImageFromFile(_LoadImageFromFile):
    """MMCV's transform with the rules of :func:`.pictures.decode_picture`, under the same name.

    MMSegInferencer looks for the name, and builds it for the paths that it is given. In MMSeg's
    registry it comes before that of MMCV.

    Required keys: ``img_path``. Added: ``img`` (uint8, (H, W, 3), BGR; float32 with
    ``to_float32``), ``img_shape``, ``ori_shape``. Other ``color_type`` than ``'color'`` are read as
    MMCV does; ``imdecode_backend`` has an effect on these alone.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If :func:`.pictures.decode_picture` refuses it.
    """

    def transform(self, results: dict) -> dict | None:
        if self.color_type != 'color' or self.file_client_args is not None:
            return super().transform(results)
        try:
            image = self._read(str(results['img_path']))
        except (OSError, ValueError):
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _read(self, path: str) -> np.ndarray:
        if self.backend_args is None and '://' not in path:
            data = read_intact(path, 'img_path')
        else:
            data = fileio.get(path, backend_args=self.backend_args)
        return decode_picture(data, path, 'img_path')


@TRANSFORMS.register_module(force=True)
class LoadImageFromNDArray(_LoadImageFromNDArray):
    """MMSeg's transform with the rules for files, under the same name.

    MMSegInferencer and ``inference_model`` build it for the arrays that they are given. MMSeg's
    takes four channels and other types as they are: the network sees another picture, or ends in
    an error that does not name the array.

    Required keys: ``img`` (uint8; (H, W) or (H, W, 1) gray, (H, W, 3) BGR or (H, W, 4) BGR and
    alpha). Modified: ``img`` (as from :class:`LoadImageFromFile`), ``img_path``, ``img_shape``,
    ``ori_shape``.

    Raises:
        ValueError: If ``img`` has another shape or type.
    """

    def transform(self, results: dict) -> dict:
        image = results['img']
        channels = image.shape[2] if image.ndim == 3 else 1
        if image.ndim not in (2, 3) or channels not in (1, 3, 4) or 0 in image.shape:
            raise ValueError(
                f'img: an array of shape {image.shape} is no image. Give (H, W, 3) in BGR order, '
                '(H, W, 4) with alpha, or (H, W) for gray.'
            )
        if image.dtype != np.uint8:
            raise ValueError(
                f'img: the array holds {image.dtype} values up to {image.max()} rather than uint8. '
                'Convert values of 0..1 by (255 * image).round().astype(np.uint8), those of a '
                '12-bit camera by cv2.convertScaleAbs(image, alpha=255 / 4095).'
            )
        if channels == 1:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
        return super().transform({**results, 'img': image[:, :, :3]})
