# Licensed under the Apache License 2.0, see LICENSE.
"""What the heads share that predict segmentation and depth, each from features of its own."""

from abc import abstractmethod
from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from mmseg.models.backbones.resnet import Bottleneck
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor, nn

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
    """Base of the heads with one trunk for segmentation and one for depth.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        channels (int): Channels of a task's features, a multiple of 4. Defaults to 256.
        source_depth_weight (float): Weight of the depth losses of the source branch. Defaults to
            0.01.
        mixed_depth_weight (float): Weight of the depth losses of the mixed branch. Defaults to
            0.001.
        norm_cfg (dict): Normalisation of the trunks. Defaults to BatchNorm.
        align_corners (bool): How predictions are upsampled. Defaults to True, as published.
        loss_decode (dict): Defaults to the cross entropy averaged over labelled pixels.
        loss_depth (dict): Defaults to berHu.
        **kwargs: The other arguments of MMSeg's ``BaseDecodeHead``.

    Raises:
        ValueError: If a pixel ``sampler`` is given.
    """

    predicts_depth = True

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
        self.seg_trunk = task_trunk(in_channels, channels, self.norm_cfg)
        self.depth_trunk = task_trunk(in_channels, channels, self.norm_cfg)

    @abstractmethod
    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Segmentation logits (N, num_classes, h, w) and inverse depth (N, 1, h, w) at feature
        resolution."""

    def _upsample(self, prediction: Tensor, like: Tensor) -> Tensor:
        return resize(
            prediction,
            like.shape[2:],
            mode='bilinear',
            align_corners=self.align_corners,
            warning=False,
        )

    def predict(
        self, inputs: tuple[Tensor], batch_img_metas: list[dict], test_cfg: ConfigType
    ) -> Tensor:
        """Logits and inverse depth at image resolution, (N, num_classes + 1, H, W): depth is the
        last channel."""
        predictions = torch.cat(self.forward_seg_depth(inputs), dim=1)
        return self.predict_by_feat(predictions, batch_img_metas)
