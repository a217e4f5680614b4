# Licensed under the Apache License 2.0, see LICENSE.
"""Base class of the heads that predict segmentation and depth."""

import inspect
import logging
from abc import ABCMeta, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

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
    """Build two residual bottlenecks that make the features of one task.

    Args:
        in_channels (int): Channels of the backbone's features.
        channels (int): Channels of the result. Within the bottlenecks there are a quarter of them.
        norm_cfg (dict): Normalization layer.

    Returns:
        nn.Sequential: A module from (N, in_channels, h, w) to (N, channels, h, w).
    """
    planes = channels // Bottleneck.expansion
    projection = nn.Sequential(
        nn.Conv2d(in_channels, channels, 1, bias=False), build_norm_layer(norm_cfg, channels)[1]
    )
    return nn.Sequential(
        Bottleneck(in_channels, planes, downsample=projection, norm_cfg=norm_cfg),
        Bottleneck(channels, planes, norm_cfg=norm_cfg),
    )


class _SettledAfterConstruction(ABCMeta):
    """Lets every head, of whatever constructor, leave depth out if it is a control."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        head = super().__call__(*args, **kwargs)
        if not head.learn_depth:
            head._leave_depth_out()
        return head

    @property
    def __signature__(cls) -> inspect.Signature:
        """That of the constructor, for ``help()`` and documentation."""
        whole = inspect.signature(getattr(cls, '__init__'))  # noqa: B009
        return whole.replace(parameters=list(whole.parameters.values())[1:])


class SegDepthHead(SegWeightMixin, BaseDecodeHead, metaclass=_SettledAfterConstruction):
    """Base of the heads that predict segmentation and inverse depth.

    :mod:`.head_contract` describes what such a head offers to training.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        loss_weights (Mapping): Weights of the losses by branch and task, as in
            ``dict(source=dict(seg=1, depth=0.01), mixed=dict(seg=1, depth=0.001))``. If a branch
            does not name a task, the task has no loss there.
        learn_depth (bool): False is the control of a method: the same network, data and draws
            without any loss on depth. What serves depth alone is frozen, no depth is predicted, and
            nothing is weighted by it. Defaults to True.
        channels (int): Width of the head. Each head says which layers have it. Defaults to 256.
        norm_cfg (dict): Normalization of the head's layers. Defaults to BatchNorm.
        align_corners (bool): How predictions are upsampled. Defaults to True, as published.
        loss_decode (dict): Config of the segmentation loss. Defaults to the cross entropy averaged
            over labeled pixels.
        loss_depth (dict): Config of the depth loss. Defaults to berHu.
        **kwargs: The other arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: If a pixel ``sampler`` is given, or ``loss_weights`` is missing or wrong.
    """

    tasks: tuple[str, ...] = ('seg', 'depth')
    predicted_tasks: tuple[str, ...] = ('depth',)
    needs_depth = False
    """Whether missing depth is an error on a branch whose ``loss_weights`` name depth. If not, the
    branch is trained without a depth loss."""
    depth_tasks: tuple[str, ...] = ('depth',)
    """Tasks that are depth or made from depth."""
    depth_parts: tuple[str, ...] = ()
    """Modules that nothing but depth is computed by."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        loss_weights: Mapping[str, Mapping[str, float]] | None = None,
        learn_depth: bool = True,
        channels: int = 256,
        norm_cfg: dict = dict(type='BN'),
        align_corners: bool = True,
        loss_decode: dict = dict(
            type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True
        ),
        loss_depth: dict = dict(type='BerHuLoss'),
        **kwargs: Any,
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
        self.learn_depth = learn_depth
        self._without_depth: set[str] = set()

    def _leave_depth_out(self) -> None:
        """Make this head a control."""
        self.tasks = tuple(task for task in self.tasks if task not in self.depth_tasks)
        self.predicted_tasks = ()
        self.loss_weights = {
            branch: {task: one for task, one in weights.items() if task not in self.depth_tasks}
            for branch, weights in (self.loss_weights or {}).items()
        }
        for name in self.depth_parts:
            part = getattr(self, name)
            if part is not None:
                part.requires_grad_(False)

    @abstractmethod
    def forward_by_task(
        self, inputs: Sequence[Tensor], tasks: Collection[str], domain: str | None = None
    ) -> Predictions:
        """Predictions of some tasks at feature resolution.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            tasks (Collection[str]): Some of ``tasks`` of the head.
            domain (str, optional): Domain of the images, for heads with a decoder for each domain.

        Returns:
            dict[str, Tensor]: By task: ``'seg'`` the logits (N, num_classes, h, w), ``'depth'`` the
            inverse depth (N, 1, h, w). It has only the tasks that are asked for.
        """

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
            domain (str, optional): Domain of the images, for heads with a decoder for each domain.

        Returns:
            Tensor | dict[str, Tensor]: Without ``tasks`` the logits (N, num_classes, h, w), as in
            MMSeg. With ``tasks`` the predictions of :meth:`forward_by_task`.
        """
        if tasks is None:
            return self.forward_by_task(inputs, ('seg',))['seg']
        return self.forward_by_task(inputs, tasks, domain)

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
            tasks (Collection[str]): Predictions to return.

        Returns:
            tuple[dict, dict]: ``loss_seg`` and, if there is depth, ``loss_depth``; predictions by
            task, at the size of the labels.
        """
        predictions = self(inputs, tasks=self.tasks)
        if tasks:
            predictions = self._at_label_size(predictions, batch_data_samples)
        losses = self.loss_by_feat(predictions, batch_data_samples)
        return losses, {task: predictions[task] for task in tasks}

    def loss_by_feat(
        self, seg_logits: Tensor | Predictions, batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses of the predictions of one branch.

        Args:
            seg_logits (Tensor | dict[str, Tensor]): Predictions of :meth:`forward`.
            batch_data_samples (list[SegDataSample]): They have ``gt_sem_seg``; ``gt_depth_map`` if
                there is depth; ``seg_weight`` in branches with pseudo-labels. Their metainfo has
                the branch, 'source' if it is missing.

        Returns:
            dict[str, Tensor]: ``loss_seg``; also ``loss_depth``, if depth is predicted, the samples
            have depth, and ``loss_weights`` name it for the branch.

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
            predictions (Mapping[str, Tensor]): Inverse depth (N, 1, H, W), by name of its loss.
            gt_depth (Tensor): True inverse depth, (N, 1, H, W).
            branch (str): Name of the branch.

        Returns:
            dict[str, Tensor]: The losses, with the same names.
        """
        losses = {name: self.loss_depth(one, gt_depth) for name, one in predictions.items()}
        return self.weighted(losses, branch, 'depth')

    def _depth_to_learn(self, batch_data_samples: SampleList, task: str = 'depth') -> Tensor | None:
        """True depth (N, 1, H, W) of a branch with a loss on a task made from it, else None.

        Logs a warning, once for each branch, if the depth is missing.

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
        """What else the warning about missing depth should say."""
        return ''

    def _at_label_size(
        self, predictions: Predictions, batch_data_samples: SampleList
    ) -> Predictions:
        """Predictions upsampled to the size of the labels."""
        size = batch_data_samples[0].gt_sem_seg.shape
        return {name: upsample(one, size, self.align_corners) for name, one in predictions.items()}

    def _upsample(self, prediction: Tensor, like: Tensor) -> Tensor:
        return upsample(prediction, like.shape[2:], self.align_corners)
