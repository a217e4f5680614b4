# Licensed under the Apache License 2.0, see LICENSE.
"""Measures the pseudo-labels during a training whose target has true labels."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.evaluation.pseudo_label_quality import count_by_agreement, count_pseudo_labels
from mmseg_depthuda.structures import domains_of, stack_pixel_data, stack_required

from .loop_arguments import DataBatch, batch_dict
from .self_training_hook import SelfTrainingHook


@HOOKS.register_module()
class PseudoLabelQualityHook(Hook):
    """Compares the pseudo-labels of a :class:`SelfTrainingHook` with the target's true labels.

    It does not change the training: it compares true labels with pseudo-labels that the training
    has made anyway. The target's training dataset must load its labels, see
    ``train_dataloader.dataset.target.data_prefix.seg_map_path``.

    Every ``interval`` iterations it logs, over the pixels of the iterations since the last time,
    in percent:

    - ``pseudo_label.accuracy``: right pseudo-labels among the pixels with a true label;
    - ``pseudo_label.coverage``: confident ones among them, by the pseudo-labeler's threshold;
    - ``pseudo_label.confident_accuracy``: right ones among the confident ones;
    - ``pseudo_label.agreement_LOW_HIGH.share`` and ``.accuracy``: how many of the pixels with depth
      lie in this bin of the agreement of the depth decoders, and how many of these are right. Only
      where the head computes the agreement: ``CorDAHead`` with ``difficulty='release'``, on the
      target's pixels of the mixed images, or ``'paper'``, on whole target images. It is the
      agreement of each image, before any averaging over the batch.

    A value without pixels is left out. Under ``torch.distributed`` the pixels are those of all
    processes.

    Args:
        interval (int): Iterations between two lines. Defaults to 100.
        num_bins (int): Bins of the agreement, of equal width in 0..1. Defaults to 5.
    """

    priority = 'LOW'  # after the hook that labels, before the checkpoint, which stores the counts

    def __init__(self, interval: int = 100, num_bins: int = 5):
        if interval < 1 or num_bins < 1:
            raise ValueError(
                f'interval and num_bins must be positive, got {interval} and {num_bins}'
            )
        self.interval = interval
        self.num_bins = num_bins
        self._reset()

    def _reset(self) -> None:
        """Forget the pixels counted."""
        self.counts = torch.zeros(2, 2, dtype=torch.int64)
        self.bin_counts = torch.zeros(self.num_bins, 2, dtype=torch.int64)

    def before_train(self, runner: Runner) -> None:
        """Find the threshold of the training.

        Raises:
            ValueError: There are no pseudo-labels to judge.
        """
        labelers = [h.pseudo_labeler for h in runner.hooks if isinstance(h, SelfTrainingHook)]
        if not labelers:
            raise ValueError(
                'PseudoLabelQualityHook judges the pseudo-labels of a SelfTrainingHook such as '
                'DACSHook, but this training has none: remove it from custom_hooks.'
            )
        if not hasattr(labelers[0], 'threshold'):
            raise ValueError(
                f'PseudoLabelQualityHook compares the labels of a teacher with true ones, but '
                f'{type(labelers[0]).__name__} has stored ones, in place of the true ones: remove '
                'the hook from custom_hooks.'
            )
        self.labelled, self.threshold = labelers[0].of, labelers[0].threshold

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: dict | None = None,
    ) -> None:
        """Count the pixels of the batch, and log them all every ``interval`` iterations.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict): Branches, as the hook and the head have left them.
            outputs (dict): Not used.

        Raises:
            ValueError: The target has no labels.
        """
        batch = batch_dict(data_batch)
        target = batch[self.labelled]['data_samples']
        label = stack_required(target, 'pseudo_label')
        truth = stack_pixel_data(target, 'gt_sem_seg')
        if truth is None:
            raise ValueError(
                'PseudoLabelQualityHook compares pseudo-labels with true ones, but the target is '
                'loaded without: set train_dataloader.dataset.target.data_prefix.seg_map_path '
                "(Cityscapes: 'gtFine/train') and keep LoadLabels in the target's pipeline, or "
                'remove the hook from custom_hooks. Only this hook looks at the labels.'
            )
        confidence = stack_required(target, 'pseudo_confidence')
        counts = count_pseudo_labels(label, confidence, truth, self.threshold)
        self.counts = self.counts.to(counts) + counts
        made = [b['data_samples'] for b in batch.values() if self._shows(b, target)]
        self._count_bins(label, truth, [target, *made])
        if self.every_n_train_iters(runner, self.interval):
            self._log(runner)

    @staticmethod
    def _shows(branch: dict, target: list) -> bool:
        """Whether a branch is mixed of the labeled images."""
        sample = branch['data_samples'][0]
        return 'mix_mask' in sample and target[0].metainfo['domain'] == domains_of([sample])[-1]

    def _count_bins(self, label: Tensor, truth: Tensor, branches: list[list]) -> None:
        """Count by the agreement of the depth decoders, if the head has stored one."""
        for samples in branches:
            agreement = stack_pixel_data(samples, 'depth_agreement')
            if agreement is None:
                continue
            counted = valid_depth(stack_required(samples, 'gt_depth_map'))
            pasted = stack_pixel_data(samples, 'mix_mask')
            counted = counted if pasted is None else counted & ~pasted
            counts = count_by_agreement(label, agreement, truth, counted, self.num_bins)
            self.bin_counts = self.bin_counts.to(counts) + counts

    def _log(self, runner: Runner) -> None:
        """Log what all processes have counted, and start anew."""
        all_reduce(self.counts)
        all_reduce(self.bin_counts)
        scalars = pseudo_label_scalars(self.counts, self.bin_counts)
        self._reset()
        text = '  '.join(f'{name}: {value:.2f}' for name, value in scalars.items())
        runner.logger.info(f'Iter(train) [{runner.iter + 1}/{runner.max_iters}]  {text}')
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the counts that are not yet logged, so that a resumed run logs the same numbers.

        Of several processes, the counts of the first one are stored.
        """
        checkpoint['pseudo_label_counts'] = [self.counts, self.bin_counts]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Go on counting where the checkpoint stopped."""
        if runner._resume and is_main_process() and 'pseudo_label_counts' in checkpoint:
            counts, bin_counts = checkpoint['pseudo_label_counts']
            if bin_counts.shape == self.bin_counts.shape:
                self.counts, self.bin_counts = counts, bin_counts


def pseudo_label_scalars(counts: Tensor, bin_counts: Tensor) -> dict[str, float]:
    """Percentages by name, as :class:`PseudoLabelQualityHook` logs them.

    Args:
        counts (Tensor): Of :func:`count_pseudo_labels`, (2, 2).
        bin_counts (Tensor): Of :func:`count_by_agreement`, (num_bins, 2).

    Returns:
        dict[str, float]: In 0..100; values without a pixel are left out.
    """
    shares = {
        'accuracy': (counts[:, 1].sum(), counts.sum()),
        'coverage': (counts[1].sum(), counts.sum()),
        'confident_accuracy': (counts[1, 1], counts[1].sum()),
    }
    num_bins = len(bin_counts)
    for index, bin_count in enumerate(bin_counts):
        name = f'agreement_{index / num_bins:.2f}_{(index + 1) / num_bins:.2f}'
        shares[f'{name}.share'] = (bin_count.sum(), bin_counts.sum())
        shares[f'{name}.accuracy'] = (bin_count[1], bin_count.sum())
    return {
        f'pseudo_label.{name}': 100 * part.item() / whole.item()
        for name, (part, whole) in shares.items()
        if whole > 0
    }
