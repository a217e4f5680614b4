# Licensed under the Apache License 2.0, see LICENSE.
"""Packing of images, with their neighboring frames if they have any."""

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.datasets.transforms import PackSegInputs as _PackSegInputs
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample


@TRANSFORMS.register_module(force=True)
class PackSegInputs(_PackSegInputs):
    """MMSeg's transform under the same name, which also packs images of one row or column.

    A flip gives such an array a negative stride, and NumPy still calls it contiguous. MMSeg
    believes that, and PyTorch takes no negative strides.

    Frames of :class:`LoadNeighboringFrames` become the sample's ``source_views``, uint8
    ``(3 * V, H, W)``, BGR, the V frames one after the other. ``frame_offsets`` and
    ``camera_matrix`` (float64, (3, 3), pixels) become metainfo.

    Keys: as in MMSeg's ``PackSegInputs``; ``source_imgs``, ``frame_offsets`` and ``camera_matrix``,
    if the first of them is there.

    Raises:
        ValueError: A transform has cropped, resized or flipped the image and not its frames.
    """

    def transform(self, results: dict) -> dict:
        for key, value in results.items():
            if isinstance(value, np.ndarray) and any(stride < 0 for stride in value.strides):
                results[key] = value.copy()
        packed = super().transform(results)
        if 'source_imgs' in results:
            _pack_frames(packed['data_samples'], results)
        return packed


def _pack_frames(sample: SegDataSample, results: dict) -> None:
    frames, shape = results['source_imgs'], results['img'].shape
    flipped = bool(results.get('flip')), results.get('flipped_frames', False)
    if any(frame.shape != shape for frame in frames) or flipped[0] != flipped[1]:
        raise ValueError(
            f'{results["img_path"]}: a transform has changed the image, and its neighboring frames '
            'differently. After LoadNeighboringFrames take ResizeSequence, RandomCropSequence and '
            'RandomFlipSequence.'
        )
    views = np.concatenate([frame.transpose(2, 0, 1) for frame in frames])
    sample.set_data(dict(source_views=PixelData(data=torch.from_numpy(views.copy()))))
    sample.set_metainfo({key: results[key] for key in ('frame_offsets', 'camera_matrix')})
