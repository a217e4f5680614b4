# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's encoder-decoder for batches of several branches and heads that predict depth."""

import torch
from mmengine.optim import OptimWrapper
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptSampleList, SampleList
from torch import Tensor

from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import upsample

from .branch_training import train_by_branch


@MODELS.register_module()
class UDASegmentor(EncoderDecoder):
    """Encoder-decoder trained on branches (``source``, ``mixed``) and, by its head, on depth.

    Any MMSeg backbone, neck and head can be used. A head with ``predicts_depth = True`` gives the
    inverse depth as one more channel behind its logits in ``predict``; the channel goes through
    whole, sliding-window and flipped inference with the logits and ends as ``pred_depth_map``.

    Args:
        **kwargs: Arguments of MMSeg's ``EncoderDecoder``.
    """

    # The target branch carries no loss of its own in self-training: what it teaches is in 'mixed'.
    trained_branches = ('source', 'mixed')

    @property
    def predicts_depth(self) -> bool:
        """bool: Whether predictions carry ``pred_depth_map``."""
        return getattr(bare_model(self.decode_head), 'predicts_depth', False)

    def _init_decode_head(self, decode_head: ConfigType) -> None:
        super()._init_decode_head(decode_head)
        # Sliding-window inference allocates its canvas with this many channels.
        self.out_channels += int(self.predicts_depth)

    # -- training --------------------------------------------------------------------------------

    def train_step(self, data: dict, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One optimiser step on a batch of branches, or on an ordinary batch.

        Args:
            data (dict): Batch of the data loader; see :class:`UDADataPreProcessor`.
            optim_wrapper (OptimWrapper): Wrapper of the optimiser.

        Returns:
            dict[str, Tensor]: Losses to log.
        """
        if 'inputs' in data:
            return super().train_step(data, optim_wrapper)
        return train_by_branch(self, self, data, optim_wrapper)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalised images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples; the branch is their ``domain``.

        Returns:
            dict[str, Tensor]: ``loss_NAME`` of the decode head, ``aux.loss_NAME`` of auxiliary
            heads.
        """
        losses = super().loss(inputs, data_samples)
        return {name.removeprefix('decode.'): value for name, value in losses.items()}

    @torch.no_grad()
    def pseudo_label_logits(self, inputs: Tensor, initial: bool = False) -> Tensor:
        """Logits that pseudo-labels are made of.

        Args:
            inputs (Tensor): Normalised images, (N, 3, H, W).
            initial (bool): The head's initial prediction instead of its final one.

        Returns:
            Tensor: (N, num_classes, H, W).
        """
        features = self.extract_feat(inputs)
        head = self.decode_head
        logits = head.forward_initial_seg(features) if initial else head(features)
        return upsample(logits, inputs.shape[2:], head.align_corners)

    @torch.no_grad()
    def target_agreement(self, inputs: Tensor, data_samples: SampleList) -> Tensor | None:
        """Agreement of the head's two depth decoders on target images, (N, 1, H, W), or None."""
        return self.decode_head.target_agreement(self.extract_feat(inputs), data_samples)

    # -- inference -------------------------------------------------------------------------------

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Undo padding, flip and resize of the predictions.

        Args:
            seg_logits (Tensor): (N, num_classes, H, W), with depth one channel more.
            data_samples (list[SegDataSample], optional): Samples to write into.

        Returns:
            list[SegDataSample]: With ``seg_logits``, ``pred_sem_seg`` and, with depth,
            ``pred_depth_map`` (float, (1, H, W), inverse depth in the encoding trained on).
        """
        if not self.predicts_depth:
            return super().postprocess_result(seg_logits, data_samples)
        num_logits = seg_logits.shape[1] - 1
        seg_logits, depth = seg_logits.split([num_logits, 1], dim=1)
        metainfo = None
        if data_samples is not None:
            metainfo = [SegDataSample(metainfo=sample.metainfo) for sample in data_samples]
        # MMSeg takes a single channel for a binary segmentation and squashes it; two it leaves.
        depth = super().postprocess_result(depth.expand(-1, 2, -1, -1), metainfo)
        results = super().postprocess_result(seg_logits, data_samples)
        for result, depth_result in zip(results, depth, strict=True):
            result.pred_depth_map = PixelData(data=depth_result.seg_logits.data[:1])
        return results
