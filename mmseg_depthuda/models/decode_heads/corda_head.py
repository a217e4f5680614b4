# Licensed under the Apache License 2.0, see LICENSE.
"""CorDA's multi-task head: segmentation and depth exchange features; each domain has its own depth
decoder."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import ModuleDict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.adaptation.difficulty import batch_mean, depth_agreement, unit_mean
from mmseg_depthuda.structures import (
    branch_of,
    domains_of,
    pack_pixel_data,
    stack_pixel_data,
)

from .attention_distillation import AttentionDistillation
from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead, task_trunk


class TaskPredictions(NamedTuple):
    """Predictions at feature resolution. Depths are by name of their decoder."""

    seg: Tensor
    initial_seg: Tensor
    depth: dict[str, Tensor]
    initial_depth: dict[str, Tensor]


@MODELS.register_module()
class CorDAHead(SegDepthHead):
    """Correlation-aware multi-task head.

    Each task has a trunk, which gives initial features and initial predictions. Attention
    distillation exchanges features between the tasks; all domains share it. Then come the final
    predictions.

    Each domain has a depth decoder. In an image that is mixed of two domains, the decoder of a
    pixel is that of its domain. Adaptation is difficult where the two decoders disagree; there the
    segmentation loss has less weight.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        initial_seg (str): Layer of the initial segmentation. ``'aspp'`` is the DeepLab-v2
            classifier on the backbone's features (GTA5 configs). ``'conv'`` is a 1x1 convolution on
            the segmentation trunk (SYNTHIA configs).
        num_summed (int): Summed branches of each :class:`DeepLabV2Classifier`. Defaults to 2, as in
            the release; the paper has 4.
        distillation (bool): Whether the tasks exchange features (CorDA, eq. 6 and 7). False is the
            ablation with trunks: initial features go directly to the final classifiers. Defaults to
            True.
        difficulty (str, optional): How the agreement of the depth decoders weights the loss.
            ``'release'``: the agreement on the mixed image, + 0.001, divided by its mean, weights
            every pixel. ``'paper'`` (eq. 9): the agreement on the target image weights the
            pseudo-labels. None: no weights. Defaults to 'release'.
        difficulty_per_image (bool, optional): Whether the weights of an image are its own map
            (True) or the mean map of the batch (False). Defaults to None: False for the release,
            True for the paper.
        depth_decoders (Mapping): Name of the depth decoder of each domain. Defaults to
            ``dict(source='source', target='target')``. Another domain can share a decoder, as in
            ``target_labelled='target'``, or have its own.
        predicted_depth (str): Name of the decoder that gives ``pred_depth_map``. Defaults to
            'target'. Choose 'source' if the target has no depth, because the target's decoder is
            not trained then.
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
        **kwargs: Any,
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
        self.initial_seg: nn.Module = (
            DeepLabV2Classifier(self.in_channels, self.out_channels, num_summed)
            if self.initial_seg_on_backbone
            else nn.Conv2d(channels, self.out_channels, 1)
        )
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

    # -- forward -----------------------------------------------------------------------------------

    def forward_by_task(
        self, inputs: Sequence[Tensor], tasks: Collection[str], domain: str | None = None
    ) -> Predictions:
        """Final predictions, and the initial segmentation as ``'initial_seg'``.

        Depth is that of the decoder of ``domain``, by default of ``predicted_depth``. See
        :meth:`SegDepthHead.forward_by_task`.
        """
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

    def _initial_features(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Features of the backbone, of segmentation and of depth; None where nothing uses these."""
        features = self._transform_inputs(inputs)
        unused = 'depth_trunk' in self.depth_parts and not self.learn_depth
        depth = None if unused else self.depth_trunk(features)
        return features, self.seg_trunk(features), depth

    def _distilled_seg(self, seg: Tensor, depth: Tensor | None) -> Tensor:
        """Features of segmentation with those from depth added (CorDA, eq. 6)."""
        return seg if self.seg_from_depth is None else seg + self.seg_from_depth(depth)

    def _distilled_depth(self, seg: Tensor, depth: Tensor | None) -> Tensor:
        """Features of depth with those from segmentation added (CorDA, eq. 7)."""
        assert depth is not None, 'a head without learn_depth is asked for depth'
        return depth if self.depth_from_seg is None else depth + self.depth_from_seg(seg)

    def forward_initial_seg(self, inputs: Sequence[Tensor]) -> Tensor:
        """Initial segmentation logits (N, num_classes, h, w) at feature resolution."""
        features = self._transform_inputs(inputs)
        if self.initial_seg_on_backbone:
            return self.initial_seg(features)
        return self.initial_seg(self.seg_trunk(features))

    def forward_depths(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Final inverse depth (N, 1, h, w) of every decoder by its name, at feature resolution."""
        _, seg, depth = self._initial_features(inputs)
        distilled = self._distilled_depth(seg, depth)
        return {name: decoder(distilled) for name, decoder in self.final_depth.items()}

    def forward_tasks(self, inputs: Sequence[Tensor], decoders: Sequence[str]) -> TaskPredictions:
        """Initial and final predictions of both tasks.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            decoders (Sequence[str]): Depth decoders to run. Without any, there is no depth in the
                result.

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
            batch_data_samples (list[SegDataSample]): They have ``gt_sem_seg``; ``gt_depth_map`` if
                there is depth; in made branches also ``seg_weight`` and ``mix_mask``. Their
                metainfo has branch and domain, 'source' if missing.
            train_cfg (dict): Not used.
            tasks (Collection[str]): Predictions to return. Depth is that of the decoder of the
                domain.

        Returns:
            tuple[dict, dict]: ``loss_seg``, ``loss_initial_seg``, and if there is depth
            ``loss_depth``, ``loss_initial_depth``; predictions by task, at the size of the labels.

        Raises:
            ValueError: A domain has no depth decoder; mixed images have no ``mix_mask``; or
                ``tasks`` want the depth of images that are mixed of two domains.
        """
        gt_depth = self._depth_to_learn(batch_data_samples)
        needs_depth = gt_depth is not None or 'depth' in tasks
        domains = domains_of(batch_data_samples) if needs_depth else ()
        decoders = [self._decoder_of(domain) for domain in domains]
        predictions = self.forward_tasks(inputs, tuple(dict.fromkeys(decoders)))
        depth = self._at_label_size(predictions.depth, batch_data_samples)
        if 'seg' in tasks:
            seg = self._at_label_size(dict(seg=predictions.seg), batch_data_samples)['seg']
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
        """Not available, because there are also losses of initial predictions; see :meth:`loss`."""
        raise NotImplementedError(
            'CorDAHead also has losses of its initial predictions: call CorDAHead.loss'
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
        """``seg_weight`` of the samples. On images mixed of two domains it is multiplied by the
        agreement of the two decoders."""
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
            'untrained: set model.decode_head.predicted_depth to a decoder that is trained.'
        )

    @property
    def judges_pseudo_labels(self) -> bool:
        """bool: Whether ``agreement`` weights pseudo-labels, as in the paper."""
        return self.learn_depth and self.difficulty == 'paper'

    @torch.no_grad()
    def agreement(self, inputs: Sequence[Tensor], batch_data_samples: SampleList) -> Tensor | None:
        """Agreement of the first two depth decoders on target images: the weight in eq. 9 of the
        paper.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the target images.
            batch_data_samples (list[SegDataSample]): Target samples with ``gt_depth_map``.

        Returns:
            Tensor, optional: (N, 1, H, W) in 0..1; None if the target has no depth.
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
        """Agreement that weights the images. Writes each image's own map into its sample, as
        ``depth_agreement``."""
        first, second = pair
        agreement = depth_agreement(first, second, gt_depth, offset)
        pack_pixel_data(batch_data_samples, dict(depth_agreement=agreement))
        return agreement if self.difficulty_per_image else batch_mean(agreement)


def _by_pixel(depth: Mapping[str, Tensor], decoders: Sequence[str], mask: Tensor | None) -> Tensor:
    """Depth of each pixel by the decoder of its domain: the first where ``mask`` is true, else the
    second."""
    if len(set(decoders)) == 1:
        return depth[decoders[0]]
    if mask is None:
        raise ValueError(
            f'images mixed of two domains, with the depth decoders {list(decoders)}, have no '
            'mix_mask. The branch maker that writes the pair of domains must write mix_mask, too.'
        )
    return torch.where(mask, depth[decoders[0]], depth[decoders[1]])
