# Licensed under the Apache License 2.0, see LICENSE.
"""Per-pixel weights for the segmentation loss of any MMSeg decode head."""

from collections.abc import Collection, Mapping, Sequence

import torch
from mmengine.dist import all_reduce
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import branch_of, stack_pixel_data, upsample


class SegWeightMixin:
    """Lets a decode head weight its segmentation loss, by pixel and by branch.

    Put it before a head to use that head in self-training, ``class MyHead(SegWeightMixin,
    SegformerHead)``. A sample with a ``seg_weight`` (:obj:`PixelData`, float, (1, H, W)) gets the
    loss sum(weight * CE) / number of *all* pixels, ignored ones included, as in DACS: a batch with
    few confident pixels then moves the network less. Without it the head behaves as MMSeg wrote it.

    Under ``torch.distributed`` a mean over labelled pixels is one over the pixels of all processes.
    With ``class_weight`` of MMSeg's ``CrossEntropyLoss`` it is the weighted mean, as PyTorch's.

    Args:
        loss_weights (Mapping, optional): Weight of the losses by branch and task, as in
            ``dict(source=dict(seg=1), masked=dict(seg=0.5))``. A task that a branch does not name
            has no loss there. Defaults to None: every branch counts as 1.
        **kwargs: Arguments of the head.

    Raises:
        ValueError: ``loss_weights`` has another form, or names a task that the head has not.
    """

    def __init__(
        self, *args, loss_weights: Mapping[str, Mapping[str, float]] | None = None, **kwargs
    ):
        super().__init__(*args, **kwargs)
        self.loss_weights = _checked(loss_weights, getattr(self, 'tasks', ('seg',)))

    def loss_weight(self, branch: str, task: str) -> float:
        """Weight of a task's losses on a branch.

        Args:
            branch (str): Name of the branch.
            task (str): ``'seg'`` or another task of the head.

        Returns:
            float: 0 where the branch does not name the task.
        """
        if self.loss_weights is None:
            return 1.0
        return float(self.loss_weights[branch][task]) if self.teaches(branch, task) else 0.0

    def teaches(self, branch: str, task: str) -> bool:
        """Whether a branch has losses on a task; with a weight of 0 it has, and they count nothing.

        Args:
            branch (str): Name of the branch.
            task (str): ``'seg'`` or another task of the head.

        Returns:
            bool: Whether ``loss_weights`` names the task for the branch.

        Raises:
            ValueError: ``loss_weights`` does not name the branch.
        """
        if self.loss_weights is None:
            return True
        if branch not in self.loss_weights:
            raise ValueError(
                f'the branch {branch!r} is trained, but loss_weights of {type(self).__name__} '
                f'names {list(self.loss_weights)} alone. Add {branch}=dict(seg=1.0), with further '
                'tasks that it shall teach, to model.decode_head.loss_weights; or declare it in '
                'model.unlabelled.'
            )
        return task in self.loss_weights[branch]

    def weighted(self, losses: dict[str, Tensor], branch: str, task: str) -> dict[str, Tensor]:
        """Losses times their weight on a branch.

        Args:
            losses (dict[str, Tensor]): By name; only ``loss...`` is weighted.
            branch (str): Name of the branch.
            task (str): Task that the losses teach.

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
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg`` and perhaps
                ``seg_weight``, both (1, H, W); the branch is in their metainfo.

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
        """Logits at image resolution, and after them the channels of ``predicted_tasks``.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_img_metas (list[dict]): Metainfo of the images.
            test_cfg (dict): MMSeg's.

        Returns:
            Tensor: (N, num_classes, H, W), with depth (N, num_classes + 1, H, W).
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
        """Segmentation losses of logits at any resolution, weighted or not.

        Args:
            seg_logits (Tensor): (N, num_classes, h, w).
            seg_label (Tensor): int64, (N, 1, H, W).
            seg_weight (Tensor, optional): Float, broadcastable to (N, 1, H, W). With it the losses
                are averaged over all pixels, without it as the loss is configured.
            with_accuracy (bool): Whether to add ``acc_seg``, which costs as much as the loss.

        Returns:
            dict[str, Tensor]: The losses by name, and ``acc_seg``.
        """
        seg_logits = upsample(seg_logits, seg_label.shape[2:], self.align_corners)
        options = dict(ignore_index=self.ignore_index)
        if seg_weight is not None:
            options['weight'] = seg_weight.expand(seg_label.shape).squeeze(1)
            options['avg_factor'] = seg_label.numel()
        seg_label = seg_label.squeeze(1)
        losses = {}
        is_list = isinstance(self.loss_decode, nn.ModuleList)
        for loss_decode in self.loss_decode if is_list else [self.loss_decode]:
            average = {}
            if seg_weight is None and _averages_labelled_pixels(loss_decode):
                average['avg_factor'] = _labelled_pixels_per_process(
                    seg_logits, seg_label, self.ignore_index, loss_decode.class_weight
                )
            loss = loss_decode(seg_logits, seg_label, **options, **average)
            losses[loss_decode.loss_name] = losses.get(loss_decode.loss_name, 0) + loss
        if with_accuracy:
            losses['acc_seg'] = accuracy(seg_logits, seg_label, ignore_index=self.ignore_index)
        return losses


def _averages_labelled_pixels(loss_decode: nn.Module) -> bool:
    """Whether a loss is the mean cross entropy over the labelled pixels."""
    return (
        isinstance(loss_decode, CrossEntropyLoss)
        and loss_decode.avg_non_ignore
        and loss_decode.reduction == 'mean'
        and not loss_decode.use_sigmoid
    )


def _labelled_pixels_per_process(
    seg_logits: Tensor,
    seg_label: Tensor,
    ignore_index: int,
    class_weight: Sequence[float] | None,
) -> Tensor:
    """Mean number over all processes, a scalar of at least float32; each pixel counts the weight of
    its class.

    A process that divides its sum by it contributes to the mean of the gradients, which
    ``DistributedDataParallel`` takes, what its pixels contribute to the loss of the whole batch.
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
    """Weights of the right form, copied.

    Raises:
        ValueError: A branch has no mapping, a task is unknown, or a weight no number >= 0.
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
