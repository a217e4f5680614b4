# Licensed under the Apache License 2.0, see LICENSE.
"""Segmentation and disparity with a U-Net decoder each, which exchange features."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import branch_of, stack_pixel_data, stack_required, upsample
from mmseg_depthuda.view_synthesis import disparity_to_depth

from .attention_distillation import AttentionDistillation
from .head_contract import Predictions
from .unet_decoder import UNetDecoder
from .unet_seg_head import UNetHead

BEFORE_EXCHANGE, AFTER_EXCHANGE = (4, 3, 2), (1, 0)
EXCHANGED = 2


class _Stages(NamedTuple):
    """Outputs of the decoders by stage. That of stage 2 is from before the exchange."""

    seg: dict[int, Tensor]
    depth: dict[int, Tensor]


@MODELS.register_module()
class PADHead(UNetHead):
    """Multi-task head: two U-Net decoders, one for segmentation and one for depth.

    Both run the stages 4, 3 and 2. Then each gets features from the other by attention:
    ``F_S + conv(F_D) * sigmoid(att(F_D))``, and the same with S and D exchanged, both from the
    features before the exchange. Then both run the stages 1 and 0. Disparities 3 and 2 are
    predicted before the exchange, 1 and 0 after it. There is a side segmentation from stage 2 of S
    before the exchange, at a quarter of the resolution.

    The head computes the losses of segmentation. Disparity is learned from video: the segmentor
    asks for the disparities of the same pass (``loss_and_disparities``) and compares views.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's features, fine to coarse.
        num_classes (int): Number of classes.
        loss_weights (Mapping): Weights of the losses by branch and task: ``seg``, ``side_seg`` and
            ``disparity``. Published: ``dict(seg=0.5, side_seg=0.5, disparity=1)`` on labeled
            branches, ``dict(disparity=1)`` on the images that are mixed, ``dict(seg=1)`` on mixed
            ones.
        learn_depth (bool): False is the control: the same network, data and draws without any loss
            on depth. What serves disparity alone is frozen, and no depth is predicted. Defaults to
            True.
        channels (Sequence[int]): Channels of each decoder's stages, fine to coarse. Defaults to
            those of "dec5" and "dec6"; see :class:`UNetDecoder`.
        aspp_dilations (Sequence[int], optional): Dilations of the ASPP, see :class:`UNetDecoder`.
            Defaults to (6, 12, 18), for features of stride 16.
        **kwargs: The other arguments of :class:`UNetHead`.

    Raises:
        ValueError: ``loss_weights`` are missing or wrong, or as :class:`UNetSegHead`. In training:
            a branch has a weight of disparity, but the segmentor does not learn it.

    Source: Hoyer et al., "Three Ways to Improve Semantic Segmentation with Self-Supervised Depth
        Estimation", CVPR 2021, and its release; attention: Xu et al., PAD-Net, CVPR 2018.
    """

    tasks: tuple[str, ...] = ('seg', 'side_seg', 'disparity', 'depth')
    predicted_tasks: tuple[str, ...] = ('depth',)
    unlabelled_tasks: tuple[str, ...] = ('disparity',)

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        loss_weights: Mapping[str, Mapping[str, float]] | None = None,
        learn_depth: bool = True,
        channels: Sequence[int] = (64, 128, 128, 256, 256),
        aspp_dilations: Sequence[int] | None = (6, 12, 18),
        **kwargs: Any,
    ):
        if kwargs.get('sampler') is not None:
            raise ValueError('PADHead weights pixels itself; it takes no pixel sampler')
        if loss_weights is None or any('depth' in tasks for tasks in loss_weights.values()):
            raise ValueError(
                'PADHead needs loss_weights of seg, side_seg and disparity. Set '
                'model.decode_head.loss_weights, as in dict(source=dict(seg=0.5, side_seg=0.5), '
                'mixed=dict(seg=1)).'
            )
        super().__init__(
            in_channels=in_channels,
            num_classes=num_classes,
            channels=channels,
            loss_weights=loss_weights,
            **kwargs,
        )
        self.seg_decoder = UNetDecoder(in_channels, channels, aspp_dilations)
        self.seg_decoder.freeze_disparity()
        self.depth_decoder = UNetDecoder(in_channels, channels, aspp_dilations)
        width = channels[EXCHANGED]
        self.seg_from_depth = AttentionDistillation(width, zero_attention=True)
        self.depth_from_seg = AttentionDistillation(width, zero_attention=True)
        self.side_classifier = nn.Conv2d(width, self.out_channels, 1)
        self.classifier = nn.Conv2d(channels[0], self.out_channels, 1)
        self.learn_depth = learn_depth
        if not learn_depth:
            self._take_depth_out()

    def _take_depth_out(self) -> None:
        self.tasks, self.predicted_tasks, self.unlabelled_tasks = ('seg', 'side_seg'), (), ()
        self.loss_weights = {
            branch: {task: one for task, one in weights.items() if task in self.tasks}
            for branch, weights in (self.loss_weights or {}).items()
        }
        self.depth_from_seg.requires_grad_(False)
        self.depth_decoder.freeze_stages(AFTER_EXCHANGE)
        self.depth_decoder.freeze_disparity()

    # -- forward -----------------------------------------------------------------------------------

    def forward(
        self,
        inputs: Sequence[Tensor],
        tasks: Collection[str] | None = None,
        domain: str | None = None,
    ) -> Tensor | Predictions:
        """Predictions, each at its own resolution.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            tasks (Collection[str], optional): Some of ``tasks`` of the head. Defaults to None.
            domain (str, optional): Not used: all domains share the decoders.

        Returns:
            Tensor | dict[str, Tensor]: Without ``tasks`` the logits (N, num_classes, H, W), as in
            MMSeg. With ``tasks`` by task: ``'seg'``; ``'side_seg'``, (N, num_classes, H/4, W/4);
            ``'disparity'`` of scale 0, 0 (far) .. 1 (near), (N, 1, H, W); ``'depth'``, the inverse
            depth of that disparity, 0.01 .. 10 per unit, (N, 1, H, W).
        """
        if tasks is None:
            return self._predict(self._decode(inputs, ('seg',)), ('seg',))['seg']
        return self._predict(self._decode(inputs, tasks), tasks)

    def _decode(self, inputs: Sequence[Tensor], tasks: Collection[str]) -> _Stages:
        """Run both decoders as far as some tasks need them."""
        features = self.selected(inputs)
        seg = self.seg_decoder.decode(features, BEFORE_EXCHANGE)
        depth = self.depth_decoder.decode(features, BEFORE_EXCHANGE)
        seg_features, depth_features = seg[EXCHANGED], depth[EXCHANGED]
        if 'seg' in tasks:
            x = seg_features + self.seg_from_depth(depth_features)
            seg |= self.seg_decoder.decode(features, AFTER_EXCHANGE, x)
        if {'disparity', 'depth'} & set(tasks):
            x = depth_features + self.depth_from_seg(seg_features)
            depth |= self.depth_decoder.decode(features, AFTER_EXCHANGE, x)
        return _Stages(seg, depth)

    def _predict(self, stages: _Stages, tasks: Collection[str]) -> Predictions:
        predictions = {}
        if 'seg' in tasks:
            predictions['seg'] = self.classifier(stages.seg[0])
        if 'side_seg' in tasks:
            predictions['side_seg'] = self.side_classifier(stages.seg[EXCHANGED])
        if {'disparity', 'depth'} & set(tasks):
            disparity = self.depth_decoder.disparities(stages.depth)[0]
            predictions['disparity'] = disparity
            predictions['depth'] = 1 / disparity_to_depth(disparity)
        return {task: predictions[task] for task in tasks}

    # -- training ----------------------------------------------------------------------------------

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: SampleList, train_cfg: ConfigType
    ) -> dict[str, Tensor]:
        """Losses of one branch, see :meth:`loss_and_predict`."""
        return self.loss_and_predict(inputs, batch_data_samples, train_cfg)[0]

    def loss_and_predict(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType,
        tasks: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Predictions]:
        """Losses of one branch without a loss of disparity, and predictions of the same pass.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): See :meth:`SegWeightMixin.loss_by_feat`.
            train_cfg (dict): Not used.
            tasks (Collection[str]): Predictions to return.

        Returns:
            tuple[dict, dict]: ``loss_seg``, ``loss_side_seg`` and ``acc_seg``, as far as
            ``loss_weights`` name their tasks for the branch; predictions by task, at the size of
            the labels.

        Raises:
            ValueError: ``loss_weights`` give disparity a weight on the branch: this loss needs a
                segmentor that calls :meth:`loss_and_disparities`.
        """
        branch = branch_of(batch_data_samples)
        if self.teaches(branch, 'disparity'):
            raise self._not_learned(branch)
        learned = self._learned(branch)
        wanted = {*learned, *tasks}
        predictions = self._predict(self._decode(inputs, wanted), wanted)
        losses = self._seg_losses({t: predictions[t] for t in learned}, batch_data_samples)
        size = batch_data_samples[0].gt_sem_seg.shape
        return losses, {t: upsample(predictions[t], size, self.align_corners) for t in tasks}

    def loss_and_disparities(
        self, inputs: Sequence[Tensor], batch_data_samples: SampleList
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses of segmentation of one branch, and the disparities of the same pass.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): See :meth:`SegWeightMixin.loss_by_feat`. They
                need labels only if ``loss_weights`` name ``seg`` or ``side_seg`` for the branch.

        Returns:
            tuple[dict, list[Tensor]]: Weighted losses of segmentation, empty on a branch without
            them; disparity of the scales 0 to 3, in 0 (far) .. 1 (near), (N, 1, H/2^s, W/2^s).

        Raises:
            ValueError: The head has no depth (``learn_depth=False``).
        """
        if not self.learn_depth:
            raise ValueError('PADHead with learn_depth=False is asked for disparities')
        learned = self._learned(branch_of(batch_data_samples))
        stages = self._decode(inputs, (*learned, 'disparity'))
        losses = self._seg_losses(self._predict(stages, learned), batch_data_samples)
        return losses, self.depth_decoder.disparities(stages.depth)

    def unlabelled_loss_and_predict(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        tasks: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Predictions]:
        """Always an error: the only loss without labels is that of disparity, which a segmentor
        computes that calls :meth:`loss_and_disparities`.

        Raises:
            ValueError: In any case.
        """
        raise self._not_learned(branch_of(batch_data_samples))

    def _not_learned(self, branch: str) -> ValueError:
        return ValueError(
            f'loss_weights of PADHead name disparity for the branch {branch!r}, but the segmentor '
            'does not learn it from video. Take one that does, or take disparity out of '
            f'model.decode_head.loss_weights.{branch}.'
        )

    def _learned(self, branch: str) -> list[str]:
        """Tasks of segmentation that have a loss on a branch."""
        return [task for task in ('seg', 'side_seg') if self.teaches(branch, task)]

    def _seg_losses(
        self, predictions: Predictions, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        if 'seg' in predictions:
            losses |= self.loss_by_feat(predictions['seg'], batch_data_samples)
        if 'side_seg' in predictions:
            label = stack_required(batch_data_samples, 'gt_sem_seg')
            weight = stack_pixel_data(batch_data_samples, 'seg_weight')
            side = self.seg_losses(predictions['side_seg'], label, weight, with_accuracy=False)
            named = {name.replace('loss_', 'loss_side_', 1): one for name, one in side.items()}
            losses |= self.weighted(named, branch_of(batch_data_samples), 'side_seg')
        return losses
