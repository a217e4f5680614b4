# Licensed under the Apache License 2.0, see LICENSE.
"""CorDA's multi-task head: segmentation and depth that inform each other, depth decoded per
domain."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import torch
from mmengine.model import BaseModule, ModuleDict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.adaptation.difficulty import batch_mean, depth_agreement, unit_mean
from mmseg_depthuda.structures import (
    branch_of,
    domains_of,
    pack_pixel_data,
    stack_pixel_data,
    upsample,
)

from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead, task_trunk


class TaskPredictions(NamedTuple):
    """Predictions at feature resolution; the depths by name of their decoder."""

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
    the tasks know, shared by the domains; final predictions follow. Each domain has a depth
    decoder. On an image mixed of two domains each pixel's depth is that of its own domain's; where
    the two decoders disagree, adaptation is difficult and the segmentation loss counts less.

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
        depth_decoders (Mapping): Name of the depth decoder of each domain. Defaults to
            ``dict(source='source', target='target')``; a further domain shares one, as in
            ``target_labelled='target'``, or has its own.
        predicted_depth (str): Name of the decoder that gives ``pred_depth_map``. Defaults to
            'target'; choose 'source' where the target has no depth, because the target's decoder is
            then never trained.
        **kwargs: The other arguments of :class:`SegDepthHead`.

    Source: Wang et al., "Domain Adaptive Semantic Segmentation with Self-Supervised Depth
        Estimation", ICCV 2021, and its release.
    """

    tasks = ('seg', 'depth', 'initial_seg')

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        initial_seg: str = 'aspp',
        num_summed: int = 2,
        distillation: bool = True,
        difficulty: str | None = 'release',
        difficulty_per_image: bool | None = None,
        depth_decoders: Mapping[str, str] = dict(source='source', target='target'),
        predicted_depth: str = 'target',
        **kwargs,
    ):
        if initial_seg not in ('aspp', 'conv'):
            raise ValueError(f"initial_seg must be 'aspp' or 'conv', got {initial_seg!r}")
        if difficulty not in ('release', 'paper', None):
            raise ValueError(f"difficulty must be 'release', 'paper' or None, got {difficulty!r}")
        decoders = tuple(dict.fromkeys(depth_decoders.values()))
        if predicted_depth not in decoders:
            raise ValueError(
                f'predicted_depth must be one of the decoders {decoders}, got {predicted_depth!r}'
            )
        if difficulty == 'paper' and len(decoders) < 2:
            raise ValueError(
                f"difficulty='paper' compares two depth decoders, but depth_decoders has {decoders}"
            )
        super().__init__(in_channels=in_channels, num_classes=num_classes, **kwargs)
        self.difficulty = difficulty
        if difficulty_per_image is None:
            difficulty_per_image = difficulty == 'paper'
        self.difficulty_per_image = difficulty_per_image
        self.depth_decoders = dict(depth_decoders)
        self.predicted_depth = predicted_depth
        self._init_layers(decoders, initial_seg, num_summed, distillation)

    def _init_layers(
        self, decoders: Sequence[str], initial_seg: str, num_summed: int, distillation: bool
    ) -> None:
        channels = self.channels
        self.seg_trunk, self.depth_trunk = (
            task_trunk(self.in_channels, channels, self.norm_cfg) for _ in range(2)
        )
        self.initial_seg_on_backbone = initial_seg == 'aspp'
        if self.initial_seg_on_backbone:
            self.initial_seg = DeepLabV2Classifier(self.in_channels, self.out_channels, num_summed)
        else:
            self.initial_seg = nn.Conv2d(channels, self.out_channels, 1)
        self.initial_depth = ModuleDict({d: nn.Conv2d(channels, 1, 1) for d in decoders})

        self.seg_from_depth = AttentionDistillation(channels) if distillation else None
        self.depth_from_seg = AttentionDistillation(channels) if distillation else None

        self.final_seg = DeepLabV2Classifier(channels, self.out_channels, num_summed)
        self.final_depth = ModuleDict(
            {d: DeepLabV2Classifier(channels, 1, num_summed) for d in decoders}
        )
        # With distillation the trunk of depth serves the segmentation, too.
        self.depth_parts = ('initial_depth', 'final_depth', 'depth_from_seg')
        if not distillation:
            self.depth_parts += ('depth_trunk',)
        self._settle_depth()

    # -- forward -----------------------------------------------------------------------------------

    def forward(
        self,
        inputs: Sequence[Tensor],
        tasks: Collection[str] | None = None,
        domain: str | None = None,
    ) -> Tensor | Predictions:
        """Final predictions, and the initial segmentation as ``'initial_seg'``; nothing but what is
        asked for. Depth is that of the decoder of ``domain``, by default of ``predicted_depth``;
        see :meth:`SegDepthHead.forward`."""
        if tasks is None:
            return self.forward(inputs, ('seg',))['seg']
        predictions = {}
        if 'initial_seg' in tasks:
            predictions['initial_seg'] = self.forward_initial_seg(inputs)
        if {'seg', 'depth'} & set(tasks):
            _, seg, depth = self._initial_features(inputs)
        if 'seg' in tasks:
            predictions['seg'] = self.final_seg(self._distilled_seg(seg, depth))
        if 'depth' in tasks:
            name = self.predicted_depth if domain is None else self._decoder_of(domain)
            predictions['depth'] = self.final_depth[name](self._distilled_depth(seg, depth))
        return predictions

    def _decoder_of(self, domain: str) -> str:
        """Name of the depth decoder of a domain."""
        if domain not in self.depth_decoders:
            raise ValueError(
                f'the domain {domain!r} has no depth decoder; set '
                f"model.decode_head.depth_decoders.{domain}, for example to 'target'. There are "
                f'{self.depth_decoders}.'
            )
        return self.depth_decoders[domain]

    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Final logits (N, num_classes, h, w) and the inverse depth (N, 1, h, w) of the decoder
        ``predicted_depth``, at feature resolution."""
        _, seg, depth = self._initial_features(inputs)
        depth_decoder = self.final_depth[self.predicted_depth]
        return (
            self.final_seg(self._distilled_seg(seg, depth)),
            depth_decoder(self._distilled_depth(seg, depth)),
        )

    def _initial_features(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features of the backbone, of segmentation and of depth; None where nothing uses these."""
        features = self._transform_inputs(inputs)
        unused = 'depth_trunk' in self.depth_parts and not self.learn_depth
        depth = None if unused else self.depth_trunk(features)
        return features, self.seg_trunk(features), depth

    def _distilled_seg(self, seg: Tensor, depth: Tensor | None) -> Tensor:
        """CorDA, eq. 6."""
        return seg if self.seg_from_depth is None else seg + self.seg_from_depth(depth)

    def _distilled_depth(self, seg: Tensor, depth: Tensor | None) -> Tensor:
        """CorDA, eq. 7."""
        assert depth is not None, 'a head with learn_depth=False predicts no depth'
        return depth if self.depth_from_seg is None else depth + self.depth_from_seg(seg)

    def forward_initial_seg(self, inputs: Sequence[Tensor]) -> Tensor:
        """Initial segmentation logits (N, num_classes, h, w) at feature resolution."""
        features = self._transform_inputs(inputs)
        if self.initial_seg_on_backbone:
            return self.initial_seg(features)
        return self.initial_seg(self.seg_trunk(features))

    def forward_depths(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Final inverse depth by name of its decoder, (N, 1, h, w) at feature resolution."""
        _, seg, depth = self._initial_features(inputs)
        distilled = self._distilled_depth(seg, depth)
        return {name: decoder(distilled) for name, decoder in self.final_depth.items()}

    def forward_tasks(self, inputs: Sequence[Tensor], decoders: Sequence[str]) -> TaskPredictions:
        """Initial and final predictions of both tasks.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            decoders (Sequence[str]): Depth decoders to run; with none of them the depth
                predictions are left out.

        Returns:
            TaskPredictions: All at feature resolution.
        """
        features, seg, depth = self._initial_features(inputs)
        distilled_seg = self._distilled_seg(seg, depth)
        distilled_depth = self._distilled_depth(seg, depth) if decoders else None
        return TaskPredictions(
            seg=self.final_seg(distilled_seg),
            initial_seg=self.initial_seg(features if self.initial_seg_on_backbone else seg),
            depth={name: self.final_depth[name](distilled_depth) for name in decoders},
            initial_depth={name: self.initial_depth[name](depth) for name in decoders},
        )

    # -- training ----------------------------------------------------------------------------------

    def loss_and_predict(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType,
        tasks: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Predictions]:
        """Losses of one branch, and predictions of the same pass.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``; ``gt_depth_map`` if there
                is depth; in made branches also ``seg_weight`` and ``mix_mask``. Branch and domain
                are in their metainfo, 'source' if absent.
            train_cfg (dict): Not used.
            tasks (Collection[str]): Predictions wanted. The depth of an image of one domain is that
                of its decoder.

        Returns:
            tuple[dict, dict]: ``loss_seg``, ``loss_initial_seg``, and where there is depth
            ``loss_depth``, ``loss_initial_depth``; predictions at the size of the labels by task.
        """
        gt_depth = self._depth_to_learn(batch_data_samples)
        needs_depth = gt_depth is not None or 'depth' in tasks
        domains = domains_of(batch_data_samples) if needs_depth else ()
        decoders = [self._decoder_of(domain) for domain in domains]
        predictions = self.forward_tasks(inputs, dict.fromkeys(decoders))
        size = batch_data_samples[0].gt_sem_seg.shape
        depth = {k: upsample(v, size, self.align_corners) for k, v in predictions.depth.items()}
        if 'seg' in tasks:
            seg = upsample(predictions.seg, size, self.align_corners)
            predictions = predictions._replace(seg=seg)

        seg_weight = self._seg_weight(batch_data_samples, depth, decoders, gt_depth)
        losses = self._seg_losses(predictions, batch_data_samples, seg_weight)
        if gt_depth is not None:
            mask = stack_pixel_data(batch_data_samples, 'mix_mask')
            initial = {k: self._upsample(v, gt_depth) for k, v in predictions.initial_depth.items()}
            losses |= self.depth_losses(
                dict(
                    loss_depth=_by_pixel(depth, decoders, mask),
                    loss_initial_depth=_by_pixel(initial, decoders, mask),
                ),
                gt_depth,
                branch_of(batch_data_samples),
            )
        return losses, self._wanted(tasks, predictions, depth, decoders)

    def _wanted(
        self,
        tasks: Collection[str],
        predictions: TaskPredictions,
        depth: Mapping[str, Tensor],
        decoders: Sequence[str],
    ) -> Predictions:
        wanted = {}
        if 'seg' in tasks:
            wanted['seg'] = predictions.seg
        if 'depth' in tasks:
            if len(decoders) > 1:
                raise ValueError('a mixed image has no single depth decoder to predict by')
            wanted['depth'] = depth[decoders[0]]
        return wanted

    def loss_by_feat(
        self, seg_logits: Tensor | dict[str, Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Not available: the losses are of initial predictions, too, see :meth:`loss`."""
        raise NotImplementedError(
            'CorDAHead is trained through CorDAHead.loss, which has more predictions than these'
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
        losses |= self.seg_losses(predictions.seg, label, seg_weight)
        return self.weighted(losses, branch_of(batch_data_samples), 'seg')

    def _seg_weight(
        self,
        batch_data_samples: SampleList,
        depth: Mapping[str, Tensor],
        decoders: Sequence[str],
        gt_depth: Tensor | None,
    ) -> Tensor | None:
        """The samples' ``seg_weight``, on images of two decoders times the agreement of these."""
        seg_weight = stack_pixel_data(batch_data_samples, 'seg_weight')
        compared = len(set(decoders)) == 2 and self.difficulty == 'release'
        if seg_weight is None or gt_depth is None or not compared:
            return seg_weight
        pair = [depth[name] for name in decoders]
        agreement = unit_mean(self._agreement(pair, gt_depth, batch_data_samples, offset=0.001))
        pack_pixel_data(batch_data_samples, dict(adaptation_weight=agreement))
        return seg_weight * agreement

    def _depth_hint(self) -> str:
        return (
            f' pred_depth_map comes from the decoder {self.predicted_depth!r}, which may stay '
            'untrained: choose one that learns by model.decode_head.predicted_depth.'
        )

    @property
    def judges_pseudo_labels(self) -> bool:
        """bool: Whether ``agreement`` weights pseudo-labels, as the paper has it."""
        return self.learn_depth and self.difficulty == 'paper'

    @torch.no_grad()
    def agreement(self, inputs: Sequence[Tensor], batch_data_samples: SampleList) -> Tensor | None:
        """Agreement of the first two depth decoders on target images, the weight of the paper's
        eq. 9.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the target images.
            batch_data_samples (list[SegDataSample]): Target samples with ``gt_depth_map``.

        Returns:
            Tensor, optional: (N, 1, H, W) in 0..1; None where the target has no depth.
        """
        gt_depth = stack_pixel_data(batch_data_samples, 'gt_depth_map')
        if gt_depth is None:
            return None
        depths = list(self.forward_depths(inputs).values())[:2]
        pair = [self._upsample(depth, gt_depth) for depth in depths]
        return self._agreement(pair, gt_depth, batch_data_samples)

    def _agreement(
        self,
        pair: Sequence[Tensor],
        gt_depth: Tensor,
        batch_data_samples: SampleList,
        offset: float = 0.0,
    ) -> Tensor:
        """Agreement as it weights the images; ``depth_agreement`` of a sample is its own map."""
        agreement = depth_agreement(*pair, gt_depth, offset)
        pack_pixel_data(batch_data_samples, dict(depth_agreement=agreement))
        return agreement if self.difficulty_per_image else batch_mean(agreement)


def _by_pixel(depth: Mapping[str, Tensor], decoders: Sequence[str], mask: Tensor | None) -> Tensor:
    """The prediction of each pixel's own decoder: the first where ``mask``, else the last."""
    if len(set(decoders)) == 1:
        return depth[decoders[0]]
    return torch.where(mask, depth[decoders[0]], depth[decoders[1]])
