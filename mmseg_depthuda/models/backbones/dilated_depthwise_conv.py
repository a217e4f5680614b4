# Licensed under the Apache License 2.0, see LICENSE.
"""Dilated depthwise convolution that is as fast on a CPU as one without dilation."""

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn


class DilatedDepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 whose padding keeps the size.

    On a CPU the backward pass of PyTorch's own is slow with dilation. Here the pixels that one
    window can see, those with the same row and column modulo the dilation, become an image of their
    own. On these images the convolution has no dilation. Results are equal up to rounding.
    Elsewhere it is :class:`torch.nn.Conv2d`.

    Args:
        in_channels (int): Channels, of the result as well.
        out_channels (int): The same number.
        kernel_size (int): Odd.
        dilation (int): Defaults to 1.
        **kwargs: The other arguments of :class:`torch.nn.Conv2d`.

    Raises:
        ValueError: The convolution is not depthwise, has a stride, or changes the size.

    Source: space to batch, as in TensorFlow; Chen et al., "DeepLab", section 3.1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, dilation: int = 1, **kwargs
    ):
        super().__init__(in_channels, out_channels, kernel_size, dilation=dilation, **kwargs)
        same = dilation * (kernel_size // 2)
        if self.groups != in_channels or self.stride != (1, 1) or self.padding != (same, same):
            raise ValueError(
                f'DilatedDepthwiseConv2d needs groups={in_channels}, stride=1 and padding={same}, '
                f'got groups={self.groups}, stride={self.stride}, padding={self.padding}'
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        step = self.dilation[0]
        if step == 1 or x.device.type != 'cpu':
            return super().forward(x)
        n, channels, height, width = x.shape
        x = F.pad(x, (0, -width % step, 0, -height % step))
        h, w = x.shape[2] // step, x.shape[3] // step
        x = x.permute(0, 2, 3, 1).reshape(n, h, step, w, step, channels)
        x = x.permute(0, 2, 4, 1, 3, 5).reshape(n * step**2, h, w, channels).permute(0, 3, 1, 2)
        x = F.conv2d(
            x, self.weight, self.bias, padding=self.kernel_size[0] // 2, groups=self.groups
        )
        x = x.permute(0, 2, 3, 1).reshape(n, step, step, h, w, channels)
        x = x.permute(0, 3, 1, 4, 2, 5).reshape(n, h * step, w * step, channels)
        return x.permute(0, 3, 1, 2)[..., :height, :width]


# In MMEngine's registry, as the convolutions of MMCV: ConvModule looks there without a scope, too.
MODELS.register_module(module=DilatedDepthwiseConv2d)
