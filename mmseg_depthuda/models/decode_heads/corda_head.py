# Licensed under the Apache License 2.0, see LICENSE.
"""CorDA's multi-task head: segmentation and depth that inform each other, depth decoded per
domain."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule, ModuleDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.adaptation.difficulty import batch_mean, depth_agreement, unit_mean
from mmseg_depthuda.structures import stack_pixel_data

from .deeplab_v2_head import DeepLabV2Classifier
from .seg_depth_head import SegDepthHead, task_trunk

# Depth decoders that a branch needs: a mixed image shows surfaces of both domains.
DEPTH_DECODERS = dict(source=('source',), target=('target',), mixed=('source', 'target'))


class TaskPredictions(NamedTuple):
    """Predictions at feature resolution; the depths by domain of their decoder."""

    seg: Tensor
    initial_seg: Tensor
    depth: dict[str, Tensor]
    initial_depth: dict[str, Tensor]


class AttentionDistillation(BaseModule):
    """What one task takes from the other: conv(F_other) * sigmoid(conv(F_other)) (CorDA, eq. 6 and
    7).

    Args:
        channels (int): Channels of both tasks' features.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.attention = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, h, w) to the same shape."""
        return self.conv(features) * self.attention(features).sigmoid()


@MODELS.register_module()
class CorDAHead(SegDepthHead):
    """Correlation-aware multi-task head.

    One trunk per task gives initial features and predictions; attention distillation exchanges what
    the tasks know, shared by the domains; final predictions follow. Each domain has its own depth
    decoders. Where they disagree on a mixed image, adaptation is difficult and the segmentation
    loss counts less.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        initial_seg (str): ``'aspp'``: the DeepLab-v2 classifier straight on the backbone's features
            (GTA5 configs); ``'conv'``: a 1x1 convolution on the segmentation trunk (SYNTHIA
            configs).
        num_summed (int): Summed branches of each :class:`DeepLabV2Classifier`. Defaults to 2, as
            released; the paper's network is 4.
        distillation (bool): Exchange features between the tasks (CorDA, eq. 6 and 7). False is the
            ablation that keeps the trunks: initial features go straight to the final classifiers.
            Defaults to True.
        difficulty (str, optional): ``'release'``: agreement of the student's depth decoders on the
            mixed image, + 0.001, divided by its mean, on every pixel; ``'paper'`` (eq. 9): on the
            target image, on pseudo-labels alone, not normalised; None: no weighting. Defaults to
            'release'.
        difficulty_per_image (bool, optional): Weight each image by its own map (True) or by the
            mean map of the batch (False). Defaults to None: per batch in the release, per image in
            the paper.
        predicted_depth (str): Whose decoder gives ``pred_depth_map``. Defaults to 'target'; choose
            'source' where the target has no depth, because the target's decoder is then never
            trained.
        **kwargs: The other arguments of :class:`SegDepthHead`.

    Source: Wang et al., "Domain Adaptive Semantic Segmentation with Self-Supervised Depth
        Estimation", ICCV 2021, and its release.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        initial_seg: str = 'aspp',
        num_summed: int = 2,
        distillation: bool = True,
        difficulty: str | None = 'release',
        difficulty_per_image: bool | None = None,
        predicted_depth: str = 'target',
        **kwargs,
    ):
        if initial_seg not in ('aspp', 'conv'):
            raise ValueError(f"initial_seg must be 'aspp' or 'conv', got {initial_seg!r}")
        if difficulty not in ('release', 'paper', None):
            raise ValueError(f"difficulty must be 'release', 'paper' or None, got {difficulty!r}")
        if predicted_depth not in ('source', 'target'):
            raise ValueError(
                f"predicted_depth must be 'source' or 'target', got {predicted_depth!r}"
            )
        super().__init__(in_channels=in_channels, num_classes=num_classes, **kwargs)
        self.difficulty = difficulty
        if difficulty_per_image is None:
            difficulty_per_image = difficulty == 'paper'
        self.difficulty_per_image = difficulty_per_image
        self.predicted_depth = predicted_depth
        self._init_layers(initial_seg, num_summed, distillation)

    def _init_layers(self, initial_seg: str, num_summed: int, distillation: bool) -> None:
        channels, domains = self.channels, ('source', 'target')
        self.seg_trunk, self.depth_trunk = (
            task_trunk(self.in_channels, channels, self.norm_cfg) for _ in range(2)
        )
        self.initial_seg_on_backbone = initial_seg == 'aspp'
        if self.initial_seg_on_backbone:
            self.initial_seg = DeepLabV2Classifier(self.in_channels, self.out_channels, num_summed)
        else:
            self.initial_seg = nn.Conv2d(channels, self.out_channels, 1)
        self.initial_depth = ModuleDict({d: nn.Conv2d(channels, 1, 1) for d in domains})

        self.seg_from_depth = AttentionDistillation(channels) if distillation else None
        self.depth_from_seg = AttentionDistillation(channels) if distillation else None

        self.final_seg = DeepLabV2Classifier(channels, self.out_channels, num_summed)
        self.final_depth = ModuleDict(
            {d: DeepLabV2Classifier(channels, 1, num_summed) for d in domains}
        )

    # -- forward -----------------------------------------------------------------------------------

    def forward(
        self, inputs: Sequence[Tensor], tasks: Collection[str] | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Final predictions; see :meth:`SegDepthHead.forward`."""
        if tasks is not None:
            return super().forward(inputs, tasks)
        _, seg, depth = self._initial_features(inputs)
        return self.final_seg(self._distilled_seg(seg, depth))

    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Final logits (N, num_classes, h, w) and the inverse depth (N, 1, h, w) of the decoder
        ``predicted_depth``, at feature resolution."""
        _, seg, depth = self._initial_features(inputs)
        depth_decoder = self.final_depth[self.predicted_depth]
        return (
            self.final_seg(self._distilled_seg(seg, depth)),
            depth_decoder(self._distilled_depth(seg, depth)),
        )

    def _initial_features(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the backbone, of segmentation and of depth."""
        features = self._transform_inputs(inputs)
        return features, self.seg_trunk(features), self.depth_trunk(features)

    def _distilled_seg(self, seg: Tensor, depth: Tensor) -> Tensor:
        """CorDA, eq. 6."""
        return seg if self.seg_from_depth is None else seg + self.seg_from_depth(depth)

    def _distilled_depth(self, seg: Tensor, depth: Tensor) -> Tensor:
        """CorDA, eq. 7."""
        return depth if self.depth_from_seg is None else depth + self.depth_from_seg(seg)

    def forward_initial_seg(self, inputs: Sequence[Tensor]) -> Tensor:
        """Initial segmentation logits (N, num_classes, h, w) at feature resolution."""
        features = self._transform_inputs(inputs)
        if self.initial_seg_on_backbone:
            return self.initial_seg(features)
        return self.initial_seg(self.seg_trunk(features))

    def forward_depths(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Final inverse depth by domain of its decoder, (N, 1, h, w) at feature resolution."""
        _, seg, depth = self._initial_features(inputs)
        distilled = self._distilled_depth(seg, depth)
        return {domain: decoder(distilled) for domain, decoder in self.final_depth.items()}

    def forward_tasks(self, inputs: Sequence[Tensor], domains: Sequence[str]) -> TaskPredictions:
        """Initial and final predictions of both tasks.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            domains (Sequence[str]): Whose depth decoders to run; with none of them the depth
                predictions are left out.

        Returns:
            TaskPredictions: All at feature resolution.
        """
        features, seg, depth = self._initial_features(inputs)
        distilled_seg = self._distilled_seg(seg, depth)
        distilled_depth = self._distilled_depth(seg, depth) if domains else None
        return TaskPredictions(
            seg=self.final_seg(distilled_seg),
            initial_seg=self.initial_seg(features if self.initial_seg_on_backbone else seg),
            depth={domain: self.final_depth[domain](distilled_depth) for domain in domains},
            initial_depth={domain: self.initial_depth[domain](depth) for domain in domains},
        )

    # -- training ----------------------------------------------------------------------------------

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: SampleList, train_cfg: ConfigType
    ) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``; ``gt_depth_map`` if there
                is depth; in the mixed branch also ``seg_weight`` and ``mix_mask``. The branch is
                the metainfo ``domain``, 'source' if absent.
            train_cfg (dict): Not used.

        Returns:
            dict[str, Tensor]: ``loss_seg``, ``loss_initial_seg``, and where there is depth
            ``loss_depth``, ``loss_initial_depth``.
        """
        domain = batch_data_samples[0].metainfo.get('domain', 'source')
        gt_depth = stack_pixel_data(batch_data_samples, 'gt_depth_map')
        domains = () if gt_depth is None else DEPTH_DECODERS[domain]
        predictions = self.forward_tasks(inputs, domains)
        depth = {d: self._upsample(p, gt_depth) for d, p in predictions.depth.items()}

        seg_weight = self._seg_weight(batch_data_samples, depth, gt_depth)
        losses = self._seg_losses(predictions, batch_data_samples, seg_weight)
        if gt_depth is not None:
            initial = {d: self._upsample(p, gt_depth) for d, p in predictions.initial_depth.items()}
            mask = stack_pixel_data(batch_data_samples, 'mix_mask')
            weight = self.depth_weights[domain]
            losses['loss_depth'] = weight * self.loss_depth(_by_domain(depth, mask), gt_depth)
            losses['loss_initial_depth'] = weight * self.loss_depth(
                _by_domain(initial, mask), gt_depth
            )
        return losses

    def loss_by_feat(
        self, seg_logits: Tensor | dict[str, Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Not available: the losses are of initial predictions, too, see :meth:`loss`."""
        raise NotImplementedError(
            'CorDAHead is trained by UDASegmentor, whose branches go through CorDAHead.loss'
        )

    def _seg_losses(
        self,
        predictions: TaskPredictions,
        batch_data_samples: SampleList,
        seg_weight: Tensor | None,
    ) -> dict[str, Tensor]:
        label = self._stack_batch_gt(batch_data_samples)
        initial = self.seg_losses(predictions.initial_seg, label, seg_weight, with_accuracy=False)
        losses = {name.replace('loss_', 'loss_initial_'): v for name, v in initial.items()}
        return losses | self.seg_losses(predictions.seg, label, seg_weight)

    def _seg_weight(
        self, batch_data_samples: SampleList, depth: dict[str, Tensor], gt_depth: Tensor | None
    ) -> Tensor | None:
        """The samples' ``seg_weight``, in the mixed branch times the agreement of the depth
        decoders."""
        seg_weight = stack_pixel_data(batch_data_samples, 'seg_weight')
        if seg_weight is None or gt_depth is None or self.difficulty != 'release':
            return seg_weight
        agreement = unit_mean(self._agreement(depth, gt_depth, batch_data_samples, offset=0.001))
        for sample, weight in zip(batch_data_samples, agreement, strict=True):
            sample.adaptation_weight = PixelData(data=weight)
        return seg_weight * agreement

    @torch.no_grad()
    def target_agreement(
        self, inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> Tensor | None:
        """Agreement of the depth decoders on target images, the weight of the paper's eq. 9.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the target images.
            batch_data_samples (list[SegDataSample]): Target samples with ``gt_depth_map``.

        Returns:
            Tensor, optional: (N, 1, H, W) in 0..1; None where the target has no depth.
        """
        gt_depth = stack_pixel_data(batch_data_samples, 'gt_depth_map')
        if gt_depth is None:
            return None
        depth = {d: self._upsample(p, gt_depth) for d, p in self.forward_depths(inputs).items()}
        return self._agreement(depth, gt_depth, batch_data_samples)

    def _agreement(
        self,
        depth: dict[str, Tensor],
        gt_depth: Tensor,
        batch_data_samples: SampleList,
        offset: float = 0.0,
    ) -> Tensor:
        """Agreement as it weights the images; ``depth_agreement`` of a sample is its own map."""
        agreement = depth_agreement(depth['source'], depth['target'], gt_depth, offset)
        for sample, own in zip(batch_data_samples, agreement, strict=True):
            sample.depth_agreement = PixelData(data=own)
        return agreement if self.difficulty_per_image else batch_mean(agreement)


def _by_domain(depth: dict[str, Tensor], mask: Tensor | None) -> Tensor:
    """The prediction of each pixel's own domain: source where ``mask``, else target."""
    if mask is None:
        (prediction,) = depth.values()
        return prediction
    return torch.where(mask, depth['source'], depth['target'])
