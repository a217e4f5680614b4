# Licensed under the Apache License 2.0, see LICENSE.
"""Per-pixel weights for the segmentation loss of any MMSeg decode head."""

from mmengine.dist import all_reduce
from mmseg.models.losses import CrossEntropyLoss, accuracy
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import stack_pixel_data, upsample


class SegWeightMixin:
    """Lets a decode head weight its segmentation loss by the samples' ``seg_weight``.

    Put it before a head to use that head in self-training, ``class MyHead(SegWeightMixin,
    SegformerHead)``. A sample with a ``seg_weight`` (:obj:`PixelData`, float, (1, H, W)) gets the
    loss sum(weight * CE) / number of *all* pixels, ignored ones included, as in DACS: a batch with
    few confident pixels then moves the network less. Without it the head behaves as MMSeg wrote it.

    Under ``torch.distributed`` a mean over labelled pixels is one over the pixels of all processes.
    """

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Segmentation losses of logits at any resolution.

        Args:
            seg_logits (Tensor): (N, num_classes, h, w).
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg`` and perhaps
                ``seg_weight``, both (1, H, W).

        Returns:
            dict[str, Tensor]: The losses by name, and ``acc_seg``.
        """
        seg_weight = stack_pixel_data(batch_data_samples, 'seg_weight')
        if seg_weight is None and self.sampler is not None:
            return super().loss_by_feat(seg_logits, batch_data_samples)
        return self.seg_losses(seg_logits, self._stack_batch_gt(batch_data_samples), seg_weight)

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
                average['avg_factor'] = _labelled_pixels_per_process(seg_label, self.ignore_index)
            loss = loss_decode(seg_logits, seg_label, **options, **average)
            losses[loss_decode.loss_name] = losses.get(loss_decode.loss_name, 0) + loss
        if with_accuracy:
            losses['acc_seg'] = accuracy(seg_logits, seg_label, ignore_index=self.ignore_index)
        return losses


def _averages_labelled_pixels(loss_decode: nn.Module) -> bool:
    """Whether a loss is the cross entropy per labelled pixel, all classes alike."""
    return (
        isinstance(loss_decode, CrossEntropyLoss)
        and loss_decode.avg_non_ignore
        and loss_decode.reduction == 'mean'
        and loss_decode.class_weight is None
        and not loss_decode.use_sigmoid
    )


def _labelled_pixels_per_process(seg_label: Tensor, ignore_index: int) -> Tensor:
    """Mean number over all processes, a float32 scalar.

    A process that divides its sum by it contributes to the mean of the gradients, which
    ``DistributedDataParallel`` takes, what its pixels contribute to the loss of the whole batch.
    """
    pixels = (seg_label != ignore_index).sum().float()
    all_reduce(pixels, 'mean')
    return pixels
