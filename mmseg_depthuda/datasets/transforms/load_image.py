# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile
from mmseg.registry import TRANSFORMS

from ..file_integrity import read_intact
from .images import decode_picture


@TRANSFORMS.register_module()
class LoadImageFromFile(_LoadImageFromFile):
    """MMCV's transform with the rules of :func:`.images.decode_picture`, under the same name.

    MMSegInferencer looks for the name, and builds it for the paths that it is given. In MMSeg's
    registry it comes before that of MMCV.

    Required keys: ``img_path``. Added: ``img`` (uint8, (H, W, 3), BGR; float32 with
    ``to_float32``), ``img_shape``, ``ori_shape``. Other files than local ones and other
    ``color_type`` than ``'color'`` are read as MMCV does.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or does not hold 8 bits per channel.
    """

    def transform(self, results: dict) -> dict | None:
        path = results['img_path']
        is_local = self.backend_args is None and self.file_client_args is None
        if not is_local or self.color_type != 'color' or '://' in str(path):
            return super().transform(results)
        try:
            image = decode_picture(read_intact(path, 'img_path'), path, 'img_path')
        except (OSError, ValueError):
            if self.ignore_empty:
                return None
            raise
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results
