# Licensed under the Apache License 2.0, see LICENSE.
"""The U-Net decoder of Monodepth2 and of the networks that are made from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule, build_norm_layer
from mmengine.model import BaseModule, ModuleList
from mmseg.models.decode_heads.aspp_head import ASPPModule
from torch import Tensor, nn

STAGES = 5
SCALES = 4
COARSE_TO_FINE = (4, 3, 2, 1, 0)


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
                'image. Set train_dataloader.batch_size to 2 or more (or per_draw of the domain '
                'that has one image), or aspp_dilations=None.'
            )
        image = self.image_pooling(x).expand(-1, -1, *x.shape[2:])
        return self.project(torch.cat([*self.branches(x), image], dim=1))


class UNetDecoder(BaseModule):
    """U-Net decoder with five stages of two convolutions each, and disparity at four scales.

    The stages are numbered 4 (coarsest) to 0 (full resolution). A stage has a convolution, enlarges
    the result to the size of the next finer features of the encoder (nearest neighbors),
    concatenates these features, and has another convolution. Where the encoder has no finer
    features, it enlarges by two. Disparity of scale s is made from stage s. Convolutions are 3x3
    with reflected borders, followed by BatchNorm if ``norm_cfg`` is given, and by ELU.

    With an encoder whose features begin at stride 2, four stages have a skip connection. With one
    whose features begin at stride 4, three have.

    Args:
        in_channels (Sequence[int]): Channels of the encoder's features, fine to coarse.
        channels (Sequence[int]): Channels of the stages, fine to coarse. Defaults to Monodepth2's
            (16, 32, 64, 128, 256). The release of Hoyer et al. has (64, 128, 128, 256, 256) as
            "dec5" and "dec6", (64, 64, 128, 128, 256) as "dec9", (16, 32, 64, 128, 256) as "dec11".
        aspp_dilations (Sequence[int], optional): Dilations of an ASPP that replaces the first
            convolution. It also has a 1x1 branch and image pooling, and is followed by dropout of
            0.5, as in DeepLab-v3. "dec5", "dec6" and "dec9" have (6, 12, 18), on features of stride
            16; "dec11" has (3, 6, 9) on stride 32. Defaults to None, no ASPP.
        norm_cfg (dict, optional): Normalization after each 3x3 convolution. "dec9" has BatchNorm.
            Defaults to None. The ASPP has BatchNorm in any case.
        initial_disparity (float): Disparity at the start of the training, in 0..1. Defaults to 0.5.
        init_cfg (dict, optional): As in MMEngine.

    Raises:
        ValueError: The number of features or stages does not fit, or the disparity is not within
            0..1.

    Source: Godard et al., Monodepth2, ICCV 2019; Hoyer et al., CVPR 2021 and IJCV 2023.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: Sequence[int] = (16, 32, 64, 128, 256),
        aspp_dilations: Sequence[int] | None = None,
        norm_cfg: dict | None = None,
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
                before.append(_up_convolution(width, stage_width, norm_cfg))
            after.append(_up_convolution(stage_width + skip, stage_width, norm_cfg))
            width = stage_width
        # In the order of the forward pass, coarse to fine.
        self.before, self.after = ModuleList(before), ModuleList(after)
        self.disparity = ModuleList(_convolution(width, 1) for width in reversed(channels[:SCALES]))

        for convolution in self.disparity:
            nn.init.constant_(
                convolution.bias, math.log(initial_disparity / (1 - initial_disparity))
            )

    def decode(
        self,
        features: Sequence[Tensor],
        stages: Sequence[int] = COARSE_TO_FINE,
        x: Tensor | None = None,
    ) -> dict[int, Tensor]:
        """Run some stages.

        Args:
            features (Sequence[Tensor]): Features of the encoder, (N, C, h, w), fine to coarse.
            stages (Sequence[int]): Consecutive numbers of stages, coarse to fine. Defaults to all.
            x (Tensor, optional): What goes into the first of them: the output of the stage before,
                or something made from it. Defaults to None: the coarsest features, for stage 4.

        Returns:
            dict[int, Tensor]: Output of each stage by its number, (N, channels, h, w). That of
            stage 0 is twice the size of the features at stride 2.

        Raises:
            ValueError: The features do not fit ``in_channels``, or the coarsest ones are smaller
                than 2x2.
        """
        self._check(features)
        x = features[-1] if x is None else x
        outputs = {}
        for stage in stages:
            x = self.before[-1 - stage](x)
            finer = stage - 1 - (STAGES - len(features))
            if finer >= 0:
                skip = features[finer]
                x = torch.cat([F.interpolate(x, size=skip.shape[2:], mode='nearest'), skip], dim=1)
            else:
                x = F.interpolate(x, scale_factor=2, mode='nearest')
            x = outputs[stage] = self.after[-1 - stage](x)
        return outputs

    def disparities(self, outputs: Mapping[int, Tensor]) -> list[Tensor]:
        """Disparity at all scales.

        Args:
            outputs (Mapping[int, Tensor]): Outputs of the stages 3 to 0, see :meth:`decode`.

        Returns:
            list[Tensor]: Disparity in 0 (far) .. 1 (near), float (N, 1, h, w), fine to coarse.
        """
        return [self.disparity[-1 - s](outputs[s]).sigmoid() for s in range(SCALES)]

    def freeze_disparity(self) -> None:
        """Keep the disparity layers in the checkpoint without training them."""
        self.disparity.requires_grad_(False)

    def freeze_stages(self, stages: Sequence[int]) -> None:
        """Keep some stages in the checkpoint without training them."""
        for stage in stages:
            self.before[-1 - stage].requires_grad_(False)
            self.after[-1 - stage].requires_grad_(False)

    def _check(self, features: Sequence[Tensor]) -> None:
        found = tuple(feature.shape[1] for feature in features)
        if found != self.in_channels:
            raise ValueError(
                f'in_channels of the decoder are {self.in_channels}, but the encoder gives '
                f'{len(found)} features of {found} channels, fine to coarse. Set in_channels to '
                'these, or out_indices of the backbone (in_index of the head) to other features.'
            )
        x = features[-1]
        if min(x.shape[2:]) < 2:
            raise ValueError(
                f'the coarsest features are {x.shape[3]}x{x.shape[2]}, but borders can be '
                'reflected from 2x2 on. Use images of at least 64x64 pixels.'
            )


def _convolution(in_channels: int, out_channels: int) -> nn.Module:
    """A convolution with PyTorch's initialization.

    The initialization of MMCV's ``ConvModule`` is for layers with a normalization after them. Here
    there is none, and ten such layers in a row would saturate the sigmoid at the start.
    """
    return nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode='reflect')


def _up_convolution(in_channels: int, out_channels: int, norm_cfg: dict | None) -> nn.Module:
    norm = [] if norm_cfg is None else [build_norm_layer(norm_cfg, out_channels)[1]]
    return nn.Sequential(_convolution(in_channels, out_channels), *norm, nn.ELU(inplace=True))
