# Licensed under the Apache License 2.0, see LICENSE.
"""Batches of frames with their neighbours."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from kornia.augmentation import ColorJitter
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class SequenceDataPreProcessor(SegDataPreProcessor):
    """Stack frames with their source views; jitter the colours of what the networks see.

    All views of a sample get the same jitter, and the loss compares the images without it. Test
    batches, single frames, go through as in MMSeg.

    Args:
        mean (Sequence[float]): Mean of R, G, B, in 0..255.
        std (Sequence[float]): Their standard deviation.
        colour_jitter (dict, optional): Arguments of kornia's ``ColorJitter``, such as
            Monodepth2's ``dict(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, p=0.5)``.
            None by default.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        colour_jitter: dict | None = None,
    ):
        super().__init__(mean=mean, std=std, bgr_to_rgb=True)
        self.colour_jitter = None if colour_jitter is None else ColorJitter(**colour_jitter)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data (dict): ``inputs``, a list of uint8 BGR images, (3, H, W) in a test and
                (V, 3, H, W) in training, the frame itself first; ``data_samples``; and in
                training ``intrinsics``, float (3, 3) each, and with a right view ``stereo_pose``,
                float (4, 4) each (see :class:`PackSequenceInputs`).
            training (bool): Whether frames come with their source views.

        Returns:
            dict: ``inputs`` normalised, float (N, 3, H, W) or (N, V, 3, H, W), and
            ``data_samples``. In training also ``images``, without jitter, RGB in 0..1, float
            (N, V, 3, H, W), and the others stacked.

        Raises:
            ValueError: The frames of the batch differ in size.
        """
        if not training:
            return super().forward(data, training)
        data = self.cast_data(data)
        shapes = {tuple(views.shape) for views in data['inputs']}
        if len(shapes) > 1:
            paths = [sample.img_path for sample in data['data_samples']]
            raise ValueError(
                f'the frames of a batch differ in size, {sorted(shapes)}: {paths}. Put '
                'ResizeSequence with one scale into the pipeline.'
            )
        batch = {
            key: torch.stack(list(data[key]))
            for key in ('inputs', 'intrinsics', 'stereo_pose')
            if key in data
        }
        images = batch['inputs'].flip(2).float() / 255
        batch['images'] = images
        batch['inputs'] = (255 * self._jitter(images) - self.mean) / self.std
        batch['data_samples'] = data['data_samples']
        return batch

    def _jitter(self, images: Tensor) -> Tensor:
        if self.colour_jitter is None:
            return images
        # The views of a sample one below the other are one image, which has one jitter.
        stacked = images.transpose(1, 2)
        return self.colour_jitter(stacked.flatten(2, 3)).view_as(stacked).transpose(1, 2)
