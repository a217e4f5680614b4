# Licensed under the Apache License 2.0, see LICENSE.
"""Pictures of what self-training trains on."""

import numpy as np
import torch
from matplotlib import colormaps
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor


@HOOKS.register_module()
class UDAVisualizationHook(Hook):
    """Draws mixed images, their labels, weights and difficulty to the visualiser's back ends.

    One strip per image, left to right: mixed image, label (pseudo-label on target pixels), weight
    of the segmentation loss, agreement of the depth decoders (where the head computes it), inverse
    depth.

    Args:
        interval (int): Iterations between two drawings. Defaults to 1000.
        num_images (int): Images of the batch to draw. Defaults to 1.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000, num_images: int = 1):
        if interval < 1 or num_images < 1:
            raise ValueError(
                f'interval and num_images must be positive, got {interval} and {num_images}'
            )
        self.interval = interval
        self.num_images = num_images

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict | None = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw every ``interval`` iterations if the batch has a mixed branch."""
        if not self.every_n_train_iters(runner, self.interval) or 'mixed' not in data_batch:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        palette = np.array(runner.visualizer.dataset_meta['palette'], dtype=np.uint8)
        mixed = data_batch['mixed']
        images = _to_rgb(mixed['inputs'][: self.num_images], model.data_preprocessor)
        for index, image in enumerate(images):
            strip = draw_mixed_sample(image, mixed['data_samples'][index], palette)
            # No folder in the name: LocalVisBackend would not create it, and write nothing.
            runner.visualizer.add_image(f'mixed_{index}', strip, step=runner.iter + 1)


def draw_mixed_sample(image: np.ndarray, sample, palette: np.ndarray) -> np.ndarray:
    """The strip of one mixed image.

    Args:
        image (np.ndarray): RGB, uint8, (H, W, 3).
        sample (SegDataSample): With ``gt_sem_seg``, ``seg_weight`` and perhaps
            ``adaptation_weight`` and ``gt_depth_map``.
        palette (np.ndarray): RGB of each class, uint8, (num_classes, 3).

    Returns:
        np.ndarray: RGB, uint8, (H, W * panels, 3).
    """
    label = sample.gt_sem_seg.data.squeeze(0).cpu().numpy()
    colours = np.zeros((256, 3), dtype=np.uint8)
    colours[: len(palette)] = palette
    panels = [image, colours[label]]
    panels.append(_colour(sample.seg_weight.data, 'viridis', largest=1.0))
    for name in ('adaptation_weight', 'gt_depth_map'):
        if name in sample:
            panels.append(_colour(sample.get(name).data, 'magma'))
    return np.concatenate(panels, axis=1)


def _colour(values: Tensor, name: str, largest: float | None = None) -> np.ndarray:
    """Colour a map of shape (1, H, W) from 0 to ``largest``, by default its 99th percentile."""
    values = values.squeeze(0).float().cpu().numpy()
    if largest is None:
        largest = max(float(np.percentile(values, 99)), 1e-6)
    return colormaps[name](np.clip(values / largest, 0, 1), bytes=True)[..., :3]


def _to_rgb(images: Tensor, preprocessor) -> np.ndarray:
    """Normalised images (N, 3, H, W) as RGB, uint8, (N, H, W, 3)."""
    images = images.detach().float() * preprocessor.std + preprocessor.mean
    images = images if preprocessor.is_rgb else images.flip(1)
    return images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
