# Licensed under the Apache License 2.0, see LICENSE.
"""Preprocessing of frames with their source views, for self-supervised depth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from kornia.augmentation import ColorJitter
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class SequenceDataPreProcessor(SegDataPreProcessor):
    """Stack frames with their source views, mirror them, and jitter the colors of the inputs.

    All views of a sample get the same augmentation. In a mirrored sample the camera is mirrored,
    too: its right image is on the left. The networks see the images with jitter, the loss compares
    the images without. Test batches have single frames and are treated as in MMSeg.

    The augmentation is drawn here and not in the pipeline, so that a resumed run draws the same,
    with any number of workers (:class:`IterationSeedHook`).

    Args:
        mean (Sequence[float]): Mean of R, G, B, in 0..255.
        std (Sequence[float]): Standard deviation of R, G, B.
        flip_prob (float): Probability of mirroring a sample. Defaults to 0.
        color_jitter (dict, optional): Arguments of kornia's ``ColorJitter``, such as
            Monodepth2's ``dict(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, p=0.5)``.
            Defaults to None, no jitter.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        flip_prob: float = 0.0,
        color_jitter: dict | None = None,
    ):
        super().__init__(mean=mean, std=std, bgr_to_rgb=True)
        self.flip_prob = flip_prob
        self.color_jitter = None if color_jitter is None else ColorJitter(**color_jitter)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data (dict): From :class:`PackSequenceInputs`:

                * ``inputs``: list of uint8 BGR images. In a test (3, H, W); in training
                  (V, 3, H, W), the frame first, then its source views.
                * ``data_samples``.
                * In training ``intrinsics``, float (3, 3) each.
                * In training with a right view ``stereo_pose``, float (4, 4) each.
            training (bool): Whether frames have their source views with them.

        Returns:
            dict: ``inputs`` normalized, float (N, 3, H, W) or (N, V, 3, H, W), and
            ``data_samples``. In training also ``images``, the views without jitter, RGB in 0..1,
            float (N, V, 3, H, W); and ``intrinsics`` and ``stereo_pose``, stacked, and changed for
            mirrored samples.

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
        self._mirror(batch)
        batch['images'] = batch['inputs'].flip(2).float() / 255
        batch['inputs'] = (
            255 * jitter_views(batch['images'], self.color_jitter) - self.mean
        ) / self.std
        batch['data_samples'] = data['data_samples']
        return batch

    def _mirror(self, batch: dict[str, Tensor]) -> None:
        """Mirror some samples of a stacked batch, in place."""
        views = batch['inputs']
        mirrored = (torch.rand(len(views)) < self.flip_prob).to(views.device)
        views[mirrored] = views[mirrored].flip(-1)
        center = batch['intrinsics'][:, 0, 2]
        center[mirrored] = views.shape[-1] - 1 - center[mirrored]
        if 'stereo_pose' in batch:
            batch['stereo_pose'][mirrored, 0, 3] *= -1


def jitter_views(images: Tensor, color_jitter: ColorJitter | None) -> Tensor:
    """Jitter the colors of views, all views of a sample alike.

    Args:
        images (Tensor): RGB, 0..1, (N, V, 3, H, W).
        color_jitter (ColorJitter, optional): None changes nothing.

    Returns:
        Tensor: Of the same shape.
    """
    if color_jitter is None:
        return images
    # All views of a sample, stacked into one high image, get the same jitter.
    stacked = images.transpose(1, 2)
    return color_jitter(stacked.flatten(2, 3)).view_as(stacked).transpose(1, 2)
