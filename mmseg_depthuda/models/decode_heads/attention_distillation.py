# Licensed under the Apache License 2.0, see LICENSE.
"""How one task of a multi-task head gets features from another."""

from mmengine.model import BaseModule
from torch import Tensor, nn


class AttentionDistillation(BaseModule):
    """Features that one task gets from the other: conv(F_other) * sigmoid(conv(F_other)).

    CorDA, eq. 6 and 7; the exchange of PAD-Net has the same form.

    Args:
        channels (int): Channels of both tasks' features.
        zero_attention (bool): Whether the attention starts with weights of zero, so that each gate
            is 0.5. Defaults to False.
    """

    def __init__(self, channels: int, zero_attention: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.attention = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        if zero_attention:
            nn.init.zeros_(self.attention.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the other task, (N, channels, h, w), to the same shape."""
        return self.conv(features) * self.attention(features).sigmoid()
