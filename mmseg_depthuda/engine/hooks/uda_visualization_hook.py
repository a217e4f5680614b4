# Licensed under the Apache License 2.0, see LICENSE.
"""Draws the images that self-training trains on, and the difficulty of test images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.models import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_depthuda.adaptation.difficulty import depth_agreement
from mmseg_depthuda.models.decode_heads.head_contract import (
    depths_by_decoder,
    has_depth_decoders,
)
from mmseg_depthuda.models.wrappers import bare_model
from mmseg_depthuda.structures import is_batch_of_branches
from mmseg_depthuda.visualization.depth_local_visualizer import DIFFICULTY_TITLE
from mmseg_depthuda.visualization.legends import titled_strip
from mmseg_depthuda.visualization.panels import (
    as_map,
    color_labels,
    draw_depths,
    draw_difficulty,
    draw_weight,
    images_to_rgb,
    upper_end,
)

from .loop_arguments import DataBatch, batch_dict, given


@HOOKS.register_module()
class UDAVisualizationHook(Hook):
    """Draws mixed images in training, and adds the difficulty to the drawings of a test.

    In training, one strip per image goes to the visualizer's back ends, left to right: mixed image,
    label (pseudo-label on target pixels), the student's segmentation, weight of the segmentation
    loss, difficulty by the depth decoders (where the head computes it; bright is difficult),
    inverse depth, the student's inverse depth, and the colors of the classes.

    In a test whose predictions are drawn (``--show-dir``), predictions of a head with two depth
    decoders get the agreement of the decoders, ``depth_agreement`` ((1, H, W) in 0..1), which
    ``DepthLocalVisualizer`` draws. Test images have no true depth: the depth of the target's
    decoder takes its place in :func:`~mmseg_depthuda.adaptation.difficulty.depth_agreement`. This
    costs a second forward pass. With test-time augmentation it is left out.

    Args:
        interval (int): Iterations between two drawings in training. Defaults to 1000.
        num_images (int): Images of the batch to draw in training. Defaults to 1.
    """

    priority = 'ABOVE_NORMAL'  # before MMSeg's hook draws the predictions

    def __init__(self, interval: int = 1000, num_images: int = 1):
        if interval < 1 or num_images < 1:
            raise ValueError(
                f'interval and num_images must be positive, got {interval} and {num_images}'
            )
        self.interval = interval
        self.num_images = num_images

    # -- training --------------------------------------------------------------------------------

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: dict | None = None,
    ) -> None:
        """Draw the branches with pseudo-labels every ``interval`` iterations.

        Only the main process draws.
        """
        if not is_main_process() or not self.every_n_train_iters(runner, self.interval):
            return
        batch = batch_dict(data_batch)
        for name, branch in batch.items() if is_batch_of_branches(batch) else ():
            if 'seg_weight' in branch['data_samples'][0]:
                self._draw_branch(runner, name, branch)

    def _draw_branch(self, runner: Runner, name: str, branch: dict) -> None:
        model: EncoderDecoder = bare_model(runner.model)
        meta = runner.visualizer.dataset_meta
        palette = np.array(meta['palette'], dtype=np.uint8)
        classes = [str(name) for name in meta['classes']]
        samples = branch['data_samples'][: self.num_images]
        inputs = branch['inputs'][: self.num_images]
        images = images_to_rgb(inputs, model.data_preprocessor)
        predictions = _predict(model, inputs)
        for index, panels in enumerate(zip(images, samples, predictions, strict=True)):
            # No folder in the name: LocalVisBackend would not create it, and write nothing.
            strip = draw_mixed_sample(*panels, palette, classes)
            runner.visualizer.add_image(f'{name}_{index}', strip, step=runner.iter + 1)

    # -- testing ---------------------------------------------------------------------------------

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: Sequence[SegDataSample] | None = None,
    ) -> None:
        """Add ``depth_agreement`` to predictions that will be drawn."""
        drawn = any(isinstance(hook, SegVisualizationHook) and hook.draw for hook in runner.hooks)
        if not drawn or isinstance(runner.model, BaseTTAModel):
            return
        model: EncoderDecoder = bare_model(runner.model)
        if has_depth_decoders(model.decode_head):
            inputs = model.data_preprocessor(data_batch, False)['inputs']
            add_depth_agreement(model, inputs, given(outputs, 'outputs'))


@torch.no_grad()
def add_depth_agreement(
    model: EncoderDecoder, inputs: Tensor, predictions: Sequence[SegDataSample]
) -> None:
    """Add the agreement of the two depth decoders to predictions.

    Args:
        model (UDASegmentor): In evaluation mode; its head has two depth decoders.
        inputs (Tensor): Normalized test images, (N, 3, H, W).
        predictions (Sequence[SegDataSample]): N samples; each gets ``depth_agreement``, float,
            (1, H', W') in 0..1, of the size of its ``pred_sem_seg``.
    """
    head = model.decode_head
    source, target = depths_by_decoder(head, model.extract_feat(inputs))[:2]
    reference = target.clamp_min(torch.finfo(torch.float32).tiny)
    agreement = depth_agreement(source, target, reference)
    for values, prediction in zip(agreement, predictions, strict=True):
        prediction.depth_agreement = PixelData(
            data=resize(
                values[None],
                prediction.pred_sem_seg.shape,
                mode='bilinear',
                align_corners=head.align_corners,
                warning=False,
            )[0]
        )


def draw_mixed_sample(
    image: np.ndarray,
    sample: SegDataSample,
    prediction: SegDataSample,
    palette: np.ndarray,
    classes: Sequence[str] | None = None,
    smallest_height: int = 256,
) -> np.ndarray:
    """Draw the strip of one mixed image.

    Args:
        image (np.ndarray): RGB, uint8, (H, W, 3).
        sample (SegDataSample): With ``gt_sem_seg``, ``seg_weight`` and perhaps
            ``adaptation_weight`` and ``gt_depth_map``.
        prediction (SegDataSample): With ``pred_sem_seg`` and perhaps ``pred_depth_map``.
        palette (np.ndarray): RGB of each class, uint8, (num_classes, 3).
        classes (Sequence[str], optional): Names, for a legend. Defaults to None.
        smallest_height (int): Lower images are enlarged by a whole factor. Defaults to 256.

    Returns:
        np.ndarray: RGB, uint8, see
        :func:`~mmseg_depthuda.visualization.legends.titled_strip`.
    """
    panels = {'mixed image': image}
    for title, label in (
        ('labels', sample.gt_sem_seg),
        ('student', prediction.pred_sem_seg),
    ):
        panels[title] = color_labels(as_map(label), palette)
    panels['weight of the loss'] = draw_weight(sample.seg_weight)
    if 'adaptation_weight' in sample:  # has mean 1 in the release, no upper end
        weight = as_map(sample.adaptation_weight)
        panels[DIFFICULTY_TITLE] = draw_difficulty(weight, upper_end(weight))
    if 'gt_depth_map' in sample:
        depths = {'depth': sample.gt_depth_map}
        if 'pred_depth_map' in prediction:
            depths['depth of the student'] = prediction.pred_depth_map
        panels |= dict(zip(depths, draw_depths(list(depths.values())), strict=True))
    return titled_strip(panels, classes, palette.tolist(), smallest_height)


@torch.no_grad()
def _predict(model: EncoderDecoder, inputs: Tensor) -> list[SegDataSample]:
    """Predictions in evaluation mode, which leaves BatchNorm's statistics as they are."""
    training = model.training
    model.eval()
    predictions = model(inputs, mode='predict')
    model.train(training)
    return predictions
