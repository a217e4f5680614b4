# Licensed under the Apache License 2.0, see LICENSE.
"""Weights by pixel and by branch for the segmentation loss of any decode head of MMSeg."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.dist import all_reduce
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import branch_of, stack_pixel_data, upsample

if TYPE_CHECKING:  # the mixin stands before a head, and uses its attributes and methods
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead as _Head
else:
    _Head = object


class SegWeightMixin(_Head):
    """Adds weights to the segmentation loss of a decode head, by pixel and by branch.

    Put it before a head to use this head in self-training: ``class MyHead(SegWeightMixin,
    SegformerHead)``. If the samples have a ``seg_weight`` (:obj:`PixelData`, float, (1, H, W)), the
    loss is sum(weight * CE) / number of *all* pixels, with ignored pixels, as in DACS. So a batch
    with few confident pixels has a smaller gradient. Without ``seg_weight`` the loss is MMSeg's.

    Under ``torch.distributed``, a mean over labeled pixels is over those of all processes. With
    ``class_weight`` of MMSeg's ``CrossEntropyLoss`` the mean is weighted, as PyTorch's.

    Args:
        loss_weights (Mapping, optional): Weights of the losses by branch and task, as in
            ``dict(source=dict(seg=1), masked=dict(seg=0.5))``. If a branch does not name a task,
            the task has no loss there. Defaults to None: every branch has weight 1.
        **kwargs: Arguments of the head.

    Raises:
        ValueError: ``loss_weights`` has another form, or names a task that the head does not have.
    """

    def __init__(
        self,
        *args: Any,
        loss_weights: Mapping[str, Mapping[str, float]] | None = None,
        **kwargs: Any,
    ):
        super().__init__(*args, **kwargs)
        self.loss_weights = _checked(loss_weights, getattr(self, 'tasks', ('seg',)))

    def loss_weight(self, branch: str, task: str) -> float:
        """Weight of a task's losses on a branch.

        Args:
            branch (str): Name of the branch.
            task (str): ``'seg'`` or another task of the head.

        Returns:
            float: The weight; 0 if the branch does not name the task.
        """
        if self.loss_weights is None:
            return 1.0
        return float(self.loss_weights[branch][task]) if self.teaches(branch, task) else 0.0

    def teaches(self, branch: str, task: str) -> bool:
        """Whether a branch has losses of a task. It has them also if their weight is 0.

        Args:
            branch (str): Name of the branch.
            task (str): ``'seg'`` or another task of the head.

        Returns:
            bool: True if ``loss_weights`` names the task for the branch.

        Raises:
            ValueError: ``loss_weights`` does not name the branch.
        """
        if self.loss_weights is None:
            return True
        if branch not in self.loss_weights:
            raise ValueError(
                f'the branch {branch!r} is trained, but loss_weights of {type(self).__name__} '
                f'names only {list(self.loss_weights)}. Add {branch}=dict(seg=1.0), with its other '
                'tasks if it has any, to model.decode_head.loss_weights; or add the branch to '
                'model.unlabelled.'
            )
        return task in self.loss_weights[branch]

    def weighted(self, losses: dict[str, Tensor], branch: str, task: str) -> dict[str, Tensor]:
        """Multiply losses by their weight on a branch.

        Args:
            losses (dict[str, Tensor]): By name. Only names that begin with ``loss`` are weighted.
            branch (str): Name of the branch.
            task (str): Task of the losses.

        Returns:
            dict[str, Tensor]: Same names.
        """
        weight = self.loss_weight(branch, task)
        if weight == 1:
            return losses
        return {k: weight * v if k.startswith('loss') else v for k, v in losses.items()}

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Segmentation losses of logits at any resolution.

        Args:
            seg_logits (Tensor): (N, num_classes, h, w).
            batch_data_samples (list[SegDataSample]): They have ``gt_sem_seg`` and may have
                ``seg_weight``, both (1, H, W). Their metainfo has the branch.

        Returns:
            dict[str, Tensor]: The losses by name, and ``acc_seg``.
        """
        seg_weight = stack_pixel_data(batch_data_samples, 'seg_weight')
        if seg_weight is None and self.sampler is not None:
            losses = super().loss_by_feat(seg_logits, batch_data_samples)
        else:
            label = self._stack_batch_gt(batch_data_samples)
            losses = self.seg_losses(seg_logits, label, seg_weight)
        return self.weighted(losses, branch_of(batch_data_samples), 'seg')

    def predict(
        self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: ConfigType
    ) -> Tensor:
        """Logits at image resolution, followed by the channels of ``predicted_tasks``.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_img_metas (list[dict]): Metainfo of the images.
            test_cfg (dict): MMSeg's.

        Returns:
            Tensor: (N, num_classes, H, W); with depth (N, num_classes + 1, H, W).
        """
        tasks = getattr(self, 'predicted_tasks', ())
        if not tasks:
            return super().predict(inputs, batch_img_metas, test_cfg)
        names = ('seg', *tasks)
        found = self(inputs, tasks=names)
        maps = torch.cat([found[name] for name in names], dim=1)
        return self.predict_by_feat(maps, batch_img_metas)

    def seg_losses(
        self,
        seg_logits: Tensor,
        seg_label: Tensor,
        seg_weight: Tensor | None = None,
        with_accuracy: bool = True,
    ) -> dict[str, Tensor]:
        """Segmentation losses of logits at any resolution, with or without weights.

        Args:
            seg_logits (Tensor): (N, num_classes, h, w).
            seg_label (Tensor): int64, (N, 1, H, W).
            seg_weight (Tensor, optional): Float, broadcastable to (N, 1, H, W). With it the losses
                are averaged over all pixels. Without it the config of the loss decides.
            with_accuracy (bool): Whether to add ``acc_seg``, which takes as long as the loss.

        Returns:
            dict[str, Tensor]: The losses by name, and ``acc_seg``.
        """
        seg_logits = upsample(seg_logits, seg_label.shape[2:], self.align_corners)
        options: dict[str, Any] = dict(ignore_index=self.ignore_index)
        if seg_weight is not None:
            options['weight'] = seg_weight.expand(seg_label.shape).squeeze(1)
            options['avg_factor'] = seg_label.numel()
        seg_label = seg_label.squeeze(1)
        losses: dict[str, Tensor] = {}
        is_list = isinstance(self.loss_decode, nn.ModuleList)
        for loss_decode in self.loss_decode if is_list else [self.loss_decode]:
            average = {}
            if seg_weight is None and _averages_labeled_pixels(loss_decode):
                average['avg_factor'] = _labeled_pixels_per_process(
                    seg_logits, seg_label, self.ignore_index, loss_decode.class_weight
                )
            loss = loss_decode(seg_logits, seg_label, **options, **average)
            losses[loss_decode.loss_name] = losses.get(loss_decode.loss_name, 0) + loss
        if with_accuracy:
            losses['acc_seg'] = accuracy(seg_logits, seg_label, ignore_index=self.ignore_index)
        return losses


def _averages_labeled_pixels(loss_decode: nn.Module) -> bool:
    """Whether a loss is the mean cross entropy over labeled pixels."""
    return (
        isinstance(loss_decode, CrossEntropyLoss)
        and loss_decode.avg_non_ignore
        and loss_decode.reduction == 'mean'
        and not loss_decode.use_sigmoid
    )


def _labeled_pixels_per_process(
    seg_logits: Tensor,
    seg_label: Tensor,
    ignore_index: int,
    class_weight: Sequence[float] | None,
) -> Tensor:
    """Mean number of labeled pixels over all processes, a scalar of at least float32.

    Each pixel counts with the weight of its class.

    Each process divides its sum of losses by it. ``DistributedDataParallel`` then takes the mean of
    the gradients, and this is the gradient of the mean over the labeled pixels of all processes.
    """
    labelled = seg_label != ignore_index
    if class_weight is None:
        pixels = labelled.sum().float()  # exact, and too large for the epsilon that MMSeg adds
    else:
        weights = seg_logits.new_tensor(class_weight)  # rounded as the loss rounds them
        dtype = torch.promote_types(weights.dtype, torch.float32)
        pixels = weights.to(dtype)[seg_label[labelled]].sum()
    all_reduce(pixels, 'mean')
    return pixels


def _checked(
    loss_weights: Mapping[str, Mapping[str, float]] | None, tasks: Collection[str]
) -> Mapping[str, Mapping[str, float]] | None:
    """Check the form of the weights, and copy them.

    Raises:
        ValueError: A branch has no mapping, a task is unknown, or a weight is not a number >= 0.
    """
    if loss_weights is None:
        return None
    for branch, weights in loss_weights.items():
        is_mapping = isinstance(weights, Mapping)
        if not is_mapping or not all(
            isinstance(w, int | float) and w >= 0 and task in tasks for task, w in weights.items()
        ):
            raise ValueError(
                f'loss_weights.{branch} must map tasks of the head ({", ".join(tasks)}) to weights '
                f'that are not negative, got {weights!r}'
            )
    return {branch: dict(weights) for branch, weights in loss_weights.items()}
