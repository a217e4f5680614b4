# Licensed under the Apache License 2.0, see LICENSE.
"""DADA's head: a residual auxiliary block predicts depth and feeds it back into the features."""

from collections.abc import Collection, Sequence
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead


class ResidualAuxiliaryBlock(BaseModule):
    """Encodes features into depth, decodes the encoding, and multiplies the features by the result.

    The weights of its convolutions are drawn from a normal distribution, N(0, 0.01).

    Args:
        in_channels (int): Channels of the features, a multiple of 16.
        channels (int): Channels of the first two convolutions; the third has a quarter.
        fusion (bool): Whether to multiply the features by the decoded encoding. If not, the block
            predicts depth and does not change the features.

    Source: Mordan et al., "Revisiting Multi-Task Learning with ROCK", NeurIPS 2018; the
        product is that of DADA, sec. 3.1.
    """

    def __init__(self, in_channels: int, channels: int, fusion: bool):
        super().__init__(init_cfg=dict(type='Normal', layer='Conv2d', std=0.01))
        self.encoder = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels // 4, 1),
        )
        self.decoder = nn.Conv2d(channels // 4, in_channels, 1) if fusion else None

    def encode(self, features: Tensor) -> Tensor:
        """Encode features (N, in_channels, h, w) to (N, channels / 4, h, w)."""
        return self.encoder(features)

    def depth(self, encoding: Tensor) -> Tensor:
        """Inverse depth (N, 1, h, w): the mean of the encoding over its channels."""
        return encoding.mean(dim=1, keepdim=True)

    def fuse(self, features: Tensor, encoding: Tensor) -> Tensor:
        """Multiply features (N, in_channels, h, w) by the decoded encoding."""
        if self.decoder is None:
            return features
        return features * self.decoder(encoding).relu()


def block_channels(in_channels: int, channels: int | None) -> int:
    """Width of a :class:`ResidualAuxiliaryBlock`: as given, or a quarter of its features.

    Raises:
        ValueError: It is no multiple of 4.
    """
    channels = in_channels // 4 if channels is None else channels
    if channels % 4:
        raise ValueError(
            f'channels must be a multiple of 4, got {channels}: in_channels={in_channels} '
            'would have to be one of 16, or channels be set'
        )
    return channels


@MODELS.register_module()
class DADAHead(SegDepthHead):
    """Depth-aware segmentation head: a residual auxiliary block before DeepLab-v2's classifier.

    Args:
        in_channels (int): Channels of the backbone's features, a multiple of 16.
        num_classes (int): Number of classes.
        channels (int, optional): Width of the block's encoder. Defaults to None: a quarter of
            ``in_channels``, as published.
        feature_fusion (bool): Whether depth is fed back into the features ("Feat. Fusion" of DADA's
            Table 3). Defaults to True.
        num_summed (int): Summed branches of :class:`DeepLabV2Classifier`. Defaults to 4.
        **kwargs: The other arguments of :class:`SegDepthHead`. The published weight of depth on
            the source is 0.001.

    Source: Vu et al., "DADA: Depth-Aware Domain Adaptation in Semantic Segmentation", ICCV 2019,
        sec. 3.1, and its release.
    """

    needs_depth = True

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int | None = None,
        feature_fusion: bool = True,
        num_summed: int = 4,
        **kwargs: Any,
    ):
        channels = block_channels(in_channels, channels)
        super().__init__(
            in_channels=in_channels,
            num_classes=num_classes,
            channels=channels,
            **kwargs,
        )
        self.auxiliary_block = ResidualAuxiliaryBlock(in_channels, channels, feature_fusion)
        self.classifier = DeepLabV2Classifier(in_channels, self.out_channels, num_summed)
        if not feature_fusion:
            self.depth_parts = ('auxiliary_block',)

    def forward_by_task(
        self, inputs: Sequence[Tensor], tasks: Collection[str], domain: str | None = None
    ) -> Predictions:
        """See :meth:`SegDepthHead.forward_by_task`."""
        features, block = self._transform_inputs(inputs), self.auxiliary_block
        predictions = {}
        encoding = block.encode(features)
        if 'seg' in tasks:
            predictions['seg'] = self.classifier(block.fuse(features, encoding))
        if 'depth' in tasks:
            predictions['depth'] = block.depth(encoding)
        return predictions
