# Licensed under the Apache License 2.0, see LICENSE.
"""Depth decoder of Monodepth2: from the features of an encoder to disparity at four scales."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from mmseg.models.decode_heads.aspp_head import ASPPModule
from mmseg.registry import MODELS
from torch import Tensor, nn

STAGES = 5
SCALES = 4


class _BottleneckASPP(BaseModule):
    """Atrous spatial pyramid pooling (DeepLab-v3) with image pooling, for the coarsest features.

    After the image pooling, BatchNorm has one value per image and channel. So each process needs at
    least two images in training.
    """

    def __init__(self, in_channels: int, channels: int, dilations: Sequence[int]):
        super().__init__()
        common = dict(conv_cfg=None, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
        self.branches = ASPPModule((1, *dilations), in_channels, channels, **common)
        self.image_pooling = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), ConvModule(in_channels, channels, 1, **common)
        )
        self.project = nn.Sequential(
            ConvModule(channels * (len(self.branches) + 1), channels, 1, **common), nn.Dropout(0.5)
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            raise ValueError(
                'aspp_dilations: the image pooling of the ASPP cannot be normalized over a single '
                'image. Set train_dataloader.batch_size to 2 or more, or aspp_dilations=None.'
            )
        image = self.image_pooling(x).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([*self.branches(x), image], dim=1))


@MODELS.register_module()
class UNetDepthHead(BaseModule):
    """U-Net decoder with five up-convolution stages.

    Each stage has a convolution, enlarges the result to the size of the next finer features of the
    encoder (nearest neighbors), concatenates these features, and has another convolution. Where the
    encoder has no finer features, it enlarges by two. The four finest stages give disparity.
    Convolutions are 3x3 with reflected borders, followed by ELU.

    Any encoder of MMSeg can be used. With :class:`ResNetWithStem`, whose features begin at stride
    2, four stages have a skip connection. With an encoder whose features begin at stride 4, three
    stages have one.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's features, fine to coarse.
        channels (Sequence[int]): Channels of the stages, fine to coarse. Defaults to Monodepth2's
            (16, 32, 64, 128, 256). The variant "dec6" has (64, 128, 128, 256, 256).
        aspp_dilations (Sequence[int], optional): Dilations of an ASPP that replaces the first
            convolution. It also has a 1x1 branch and image pooling, and is followed by dropout of
            0.5, as in DeepLab-v3. "dec6" has (6, 12, 18), on features of stride 16. Defaults to
            None, no ASPP.
        initial_disparity (float): Disparity at the start of the training, in 0..1. Defaults to 0.5,
            a depth of 0.2, as in Monodepth2. A pixel that is projected outside of its source view
            has no gradient. So begin near the true depth if right images are used, whose distance
            is in meters; 0.01 is 9 m.
        init_cfg (dict, optional): As in MMEngine.

    Raises:
        ValueError: The number of features or stages does not fit, the disparity is not within
            0..1, or an ASPP is trained with one image per process.

    Source: Godard et al., Monodepth2, ICCV 2019; "dec6": Hoyer et al., IJCV 2023.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        aspp_dilations: Sequence[int] | None = None,
        initial_disparity: float = 0.5,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if len(channels) != STAGES or not 2 <= len(in_channels) <= STAGES:
            raise ValueError(
                f'channels must be {STAGES} numbers and in_channels 2 to {STAGES}, fine to coarse, '
                f'got {tuple(channels)} and {tuple(in_channels)}.'
            )
        if not 0 < initial_disparity < 1:
            raise ValueError(f'initial_disparity must be within 0..1, got {initial_disparity}.')
        self.in_channels = tuple(in_channels)
        width = in_channels[-1]
        # The finest stages have no features of the encoder to concatenate.
        skips = (0,) * (STAGES - len(in_channels) + 1) + tuple(in_channels[:-1])
        before: list[nn.Module] = []
        after: list[nn.Module] = []
        for stage_width, skip in zip(reversed(channels), reversed(skips), strict=True):
            if aspp_dilations is not None and not before:
                before.append(_BottleneckASPP(width, stage_width, aspp_dilations))
            else:
                before.append(_up_convolution(width, stage_width))
            after.append(_up_convolution(stage_width + skip, stage_width))
            width = stage_width
        # In the order of the forward pass, coarse to fine.
        self.before, self.after = ModuleList(before), ModuleList(after)
        self.disparity = ModuleList(_convolution(width, 1) for width in reversed(channels[:SCALES]))

        for convolution in self.disparity:
            nn.init.constant_(
                convolution.bias, math.log(initial_disparity / (1 - initial_disparity))
            )

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Decode features.

        Args:
            features (Sequence[Tensor]): Features of the encoder, (N, C, h, w), fine to coarse.

        Returns:
            list[Tensor]: Disparity in 0 (far) .. 1 (near), float (N, 1, h, w), fine to coarse. The
            first is twice the size of the features at stride 2.

        Raises:
            ValueError: The coarsest features are smaller than 2x2.
        """
        *skips, x = features
        if min(x.shape[2:]) < 2:
            raise ValueError(
                f'the coarsest features are {x.shape[3]}x{x.shape[2]}, but borders can be '
                'reflected from 2x2 on. Use images of at least 64x64 pixels.'
            )
        disparities = []
        for stage, (before, after) in enumerate(zip(self.before, self.after, strict=True)):
            x = before(x)
            if skips:
                skip = skips.pop()
                x = torch.cat([F.interpolate(x, size=skip.shape[2:], mode='nearest'), skip], dim=1)
            else:
                x = F.interpolate(x, scale_factor=2, mode='nearest')
            x = after(x)
            scale = stage - (STAGES - SCALES)
            if scale >= 0:
                disparities.append(self.disparity[scale](x).sigmoid())
        return disparities[::-1]


def _convolution(in_channels: int, out_channels: int) -> nn.Module:
    """A convolution with PyTorch's initialization.

    The initialization of MMCV's ``ConvModule`` is for layers with a normalization after them. Here
    there is none, and ten such layers in a row would saturate the sigmoid at the start.
    """
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode='reflect')


def _up_convolution(in_channels: int, out_channels: int) -> nn.Module:
    return nn.Sequential(_convolution(in_channels, out_channels), nn.ELU(inplace=True))
