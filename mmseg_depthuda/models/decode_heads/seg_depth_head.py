# Licensed under the Apache License 2.0, see LICENSE.
"""What the heads share that predict segmentation and depth."""

from abc import abstractmethod
from collections.abc import Collection, Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.backbones.resnet import Bottleneck
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import stack_pixel_data, upsample

from .seg_weight_mixin import SegWeightMixin

TASKS = ('seg', 'depth')


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

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        channels (int): Width of the head; what it means is up to the head. Defaults to 256.
        source_depth_weight (float): Weight of the depth losses of the source branch. Defaults to
            0.01.
        mixed_depth_weight (float): Weight of the depth losses of the mixed branch. Defaults to
            0.001.
        norm_cfg (dict): Normalisation of the head's layers. Defaults to BatchNorm.
        align_corners (bool): How predictions are upsampled. Defaults to True, as published.
        loss_decode (dict): Defaults to the cross entropy averaged over labelled pixels.
        loss_depth (dict): Defaults to berHu.
        **kwargs: The other arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: If a pixel ``sampler`` is given.
    """

    predicts_depth = True
    needs_source_depth = False
    """Whether source images without depth are an error, rather than trained without it."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 256,
        source_depth_weight: float = 0.01,
        mixed_depth_weight: float = 0.001,
        norm_cfg: dict = dict(type='BN'),
        align_corners: bool = True,
        loss_decode: dict = dict(
            type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True
        ),
        loss_depth: dict = dict(type='BerHuLoss'),
        **kwargs,
    ):
        if kwargs.get('sampler') is not None:
            raise ValueError(
                f'{type(self).__name__} weights pixels itself; it takes no pixel sampler'
            )
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            num_classes=num_classes,
            dropout_ratio=0,
            norm_cfg=norm_cfg,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=None,
            **kwargs,
        )
        self.conv_seg = None
        self.depth_weights = dict(
            source=source_depth_weight, target=mixed_depth_weight, mixed=mixed_depth_weight
        )
        self.loss_depth = MODELS.build(loss_depth)

    @abstractmethod
    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Segmentation logits (N, num_classes, h, w) and inverse depth (N, 1, h, w) at feature
        resolution."""

    def forward(
        self, inputs: Sequence[Tensor], tasks: Collection[str] | None = None
    ) -> Tensor | dict[str, Tensor]:
        """Predictions at feature resolution.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            tasks (Collection[str], optional): Some of ``'seg'`` and ``'depth'``. Defaults to None.

        Returns:
            Tensor | dict[str, Tensor]: The logits (N, num_classes, h, w) alone, as MMSeg's heads
            give them; or, with ``tasks``, the predictions by task, ``'depth'`` (N, 1, h, w).
        """
        if tasks is None:
            return self.forward_seg_depth(inputs)[0]
        return {
            task: prediction
            for task, prediction in zip(TASKS, self.forward_seg_depth(inputs), strict=True)
            if task in tasks
        }

    # -- training ----------------------------------------------------------------------------------

    def loss(
        self, inputs: Sequence[Tensor], batch_data_samples: SampleList, train_cfg: ConfigType
    ) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): See :meth:`loss_by_feat`.
            train_cfg (dict): Not used.

        Returns:
            dict[str, Tensor]: ``loss_seg`` and, where there is depth, ``loss_depth``.
        """
        return self.loss_by_feat(self.forward(inputs, tasks=TASKS), batch_data_samples)

    def loss_by_feat(
        self, seg_logits: Tensor | dict[str, Tensor], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """Losses of the predictions of one branch.

        Args:
            seg_logits (Tensor | dict[str, Tensor]): Predictions of :meth:`forward`.
            batch_data_samples (list[SegDataSample]): With ``gt_sem_seg``; ``gt_depth_map`` if there
                is depth; ``seg_weight`` in the mixed branch. The branch is the metainfo
                ``domain``, 'source' if absent.

        Returns:
            dict[str, Tensor]: ``loss_seg`` and, where depth is predicted and known, ``loss_depth``.

        Raises:
            ValueError: Source images have no depth and the head needs it.
        """
        if isinstance(seg_logits, Tensor):
            return super().loss_by_feat(seg_logits, batch_data_samples)
        losses = super().loss_by_feat(seg_logits['seg'], batch_data_samples)
        gt_depth = stack_pixel_data(batch_data_samples, 'gt_depth_map')
        domain = batch_data_samples[0].metainfo.get('domain', 'source')
        if gt_depth is not None:
            prediction = self._upsample(seg_logits['depth'], gt_depth)
            losses['loss_depth'] = self.depth_weights[domain] * self.loss_depth(
                prediction, gt_depth
            )
        elif self.needs_source_depth and domain == 'source':
            raise ValueError(
                f'{type(self).__name__} learns depth on the source, but '
                f'{batch_data_samples[0].metainfo.get("img_path")} came without gt_depth_map. Set '
                'data_prefix.depth_map_path of the source dataset and put LoadInverseDepth into '
                'its pipeline.'
            )
        return losses

    def _upsample(self, prediction: Tensor, like: Tensor) -> Tensor:
        return upsample(prediction, like.shape[2:], self.align_corners)

    # -- inference ---------------------------------------------------------------------------------

    def predict(
        self, inputs: tuple[Tensor], batch_img_metas: list[dict], test_cfg: ConfigType
    ) -> Tensor:
        """Logits and inverse depth at image resolution, (N, num_classes + 1, H, W): depth is the
        last channel."""
        predictions = torch.cat(self.forward_seg_depth(inputs), dim=1)
        return self.predict_by_feat(predictions, batch_img_metas)
