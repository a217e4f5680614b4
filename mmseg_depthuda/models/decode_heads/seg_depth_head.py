# Licensed under the Apache License 2.0, see LICENSE.
"""What the heads share that predict segmentation and depth."""

import logging
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence

from mmcv.cnn import build_norm_layer
from mmengine.logging import print_log
from mmseg.models.backbones.resnet import Bottleneck
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import branch_of, stack_pixel_data, upsample

from .head_contract import Predictions
from .seg_weight_mixin import SegWeightMixin


def task_trunk(in_channels: int, channels: int, norm_cfg: dict) -> nn.Sequential:
    """Two residual bottlenecks that turn backbone features into the features of one task.

    Args:
        in_channels (int): Channels of the backbone's features.
        channels (int): Channels of the result; the bottlenecks are a quarter as wide.
        norm_cfg (dict): Normalisation layer.

    Returns:
        nn.Sequential: (N, in_channels, h, w) to (N, channels, h, w).
    """
    planes = channels // Bottleneck.expansion
    projection = nn.Sequential(
        nn.Conv2d(in_channels, channels, 1, bias=False), build_norm_layer(norm_cfg, channels)[1]
    )
    return nn.Sequential(
        Bottleneck(in_channels, planes, downsample=projection, norm_cfg=norm_cfg),
        Bottleneck(channels, planes, norm_cfg=norm_cfg),
    )


class SegDepthHead(SegWeightMixin, BaseDecodeHead):
    """Base of the heads that predict segmentation and inverse depth.

    What such a head offers to training stands in :mod:`.head_contract`.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        loss_weights (Mapping): Weight of the losses by branch and task, as in
            ``dict(source=dict(seg=1, depth=0.01), mixed=dict(seg=1, depth=0.001))``. A task that a
            branch does not name has no loss there.
        channels (int): Width of the head; what it means is up to the head. Defaults to 256.
        norm_cfg (dict): Normalization of the head's layers. Defaults to BatchNorm.
        align_corners (bool): How predictions are upsampled. Defaults to True, as published.
        loss_decode (dict): Defaults to the cross entropy averaged over labelled pixels.
        loss_depth (dict): Defaults to berHu.
        **kwargs: The other arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: If a pixel ``sampler`` is given, or ``loss_weights`` is missing or wrong.
    """

    tasks: tuple[str, ...] = ('seg', 'depth')
    predicted_tasks: tuple[str, ...] = ('depth',)
    needs_depth = False
    """Whether missing depth is an error on a branch whose ``loss_weights`` name depth, rather than
    training without it."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        loss_weights: Mapping[str, Mapping[str, float]] | None = None,
        channels: int = 256,
        norm_cfg: dict = dict(type='BN'),
        align_corners: bool = True,
        loss_decode: dict = dict(
            type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True
        ),
        loss_depth: dict = dict(type='BerHuLoss'),
        **kwargs,
    ):
        name = type(self).__name__
        if kwargs.get('sampler') is not None:
            raise ValueError(f'{name} weights pixels itself; it takes no pixel sampler')
        old = [key for key in ('source_depth_weight', 'mixed_depth_weight') if key in kwargs]
        if loss_weights is None or old:
            raise ValueError(
                f'{name} needs loss_weights'
                + (f', which replaces {" and ".join(old)}' if old else '')
                + '. Set model.decode_head.loss_weights, as in dict(source=dict(seg=1, depth=0.01)'
                ', mixed=dict(seg=1, depth=0.001)).'
            )
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            num_classes=num_classes,
            loss_weights=loss_weights,
            dropout_ratio=0,
            norm_cfg=norm_cfg,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=None,
            **kwargs,
        )
        self.conv_seg = None
        self.loss_depth = MODELS.build(loss_depth)
        self._without_depth: set[str] = set()

    @abstractmethod
    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Segmentation logits (N, num_classes, h, w) and inverse depth (N, 1, h, w) at feature
        resolution."""

    def forward(
        self,
        inputs: Sequence[Tensor],
        tasks: Collection[str] | None = None,
        domain: str | None = None,
    ) -> Tensor | Predictions:
        """Predictions at feature resolution.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            tasks (Collection[str], optional): Some of ``tasks`` of the head. Defaults to None.
            domain (str, optional): Domain of the images, for heads with a decoder for each.

        Returns:
            Tensor | dict[str, Tensor]: The logits (N, num_classes, h, w) alone, as MMSeg's heads
            give them; or, with ``tasks``, the predictions by task, ``'depth'`` (N, 1, h, w).
        """
        if tasks is None:
            return self.forward_seg_depth(inputs)[0]
        seg, depth = self.forward_seg_depth(inputs)
        return {k: v for k, v in dict(seg=seg, depth=depth).items() if k in tasks}

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
        """Losses of one branch, and predictions of the same pass.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): See :meth:`loss_by_feat`.
            train_cfg (dict): Not used.
            tasks (Collection[str]): Predictions wanted.

        Returns:
            tuple[dict, dict]: ``loss_seg`` and, where there is depth, ``loss_depth``; predictions
            at the size of the labels by task.
        """
        predictions = self(inputs, tasks=('seg', 'depth'))
        if tasks:
            size = batch_data_samples[0].gt_sem_seg.shape
            predictions = {k: upsample(v, size, self.align_corners) for k, v in predictions.items()}
        losses = self.loss_by_feat(predictions, batch_data_samples)
        return losses, {task: predictions[task] for task in tasks}

    def loss_by_feat(
        self, seg_logits: Tensor | Predictions, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses of the predictions of one branch.

        Args:
            seg_logits (Tensor | dict[str, Tensor]): Predictions of :meth:`forward`.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``; ``gt_depth_map`` if there
                is depth; ``seg_weight`` in branches with pseudo-labels. The branch is in their
                metainfo, 'source' if absent.

        Returns:
            dict[str, Tensor]: ``loss_seg`` and, where depth is predicted, known and weighted,
            ``loss_depth``.

        Raises:
            ValueError: Depth is missing and the head needs it.
        """
        if isinstance(seg_logits, Tensor):
            return super().loss_by_feat(seg_logits, batch_data_samples)
        losses = super().loss_by_feat(seg_logits['seg'], batch_data_samples)
        gt_depth = self._depth_to_learn(batch_data_samples)
        if gt_depth is not None:
            prediction = self._upsample(seg_logits['depth'], gt_depth)
            losses |= self.depth_losses(
                dict(loss_depth=prediction), gt_depth, branch_of(batch_data_samples)
            )
        return losses

    def depth_losses(
        self, predictions: Mapping[str, Tensor], gt_depth: Tensor, branch: str
    ) -> dict[str, Tensor]:
        """Weighted depth losses of a branch.

        Args:
            predictions (Mapping[str, Tensor]): (N, 1, H, W) by name of the loss.
            gt_depth (Tensor): Inverse depth, (N, 1, H, W).
            branch (str): Name of the branch.

        Returns:
            dict[str, Tensor]: Same names.
        """
        losses = {name: self.loss_depth(one, gt_depth) for name, one in predictions.items()}
        return self.weighted(losses, branch, 'depth')

    def _depth_to_learn(self, batch_data_samples: SampleList, task: str = 'depth') -> Tensor | None:
        """The depth of a branch that has a loss on a task made of it, (N, 1, H, W), else None.

        Says once for each branch that its depth is missing.

        Raises:
            ValueError: Depth is missing and the head needs it.
        """
        branch = branch_of(batch_data_samples)
        if not self.teaches(branch, task):
            return None
        gt_depth = stack_pixel_data(batch_data_samples, 'gt_depth_map')
        if gt_depth is not None or branch in self._without_depth:
            return gt_depth
        name, path = type(self).__name__, batch_data_samples[0].metainfo.get('img_path')
        remedy = (
            f'loss_weights of {name} give {task} on {branch} a weight, but {path} came without '
            'gt_depth_map. Set data_prefix.depth_map_path of the dataset and put LoadInverseDepth '
            'into its pipeline'
        )
        if self.needs_depth:
            raise ValueError(f'{name} learns {task} on the {branch} branch: {remedy}.')
        self._without_depth.add(branch)
        print_log(
            f'{remedy}; or leave {task} out of loss_weights.{branch}. Until then there is no '
            f'{task} loss on this branch.{self._depth_hint()}',
            logger='current',
            level=logging.WARNING,
        )
        return None

    def _depth_hint(self) -> str:
        """What else a user should know whose depth is missing."""
        return ''

    def _upsample(self, prediction: Tensor, like: Tensor) -> Tensor:
        return upsample(prediction, like.shape[2:], self.align_corners)
