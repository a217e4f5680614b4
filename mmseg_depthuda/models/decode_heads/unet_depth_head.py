# Licensed under the Apache License 2.0, see LICENSE.
"""Depth decoder of Monodepth2: from the features of an encoder to disparity at four scales."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS
from torch import Tensor

from .unet_decoder import UNetDecoder


@MODELS.register_module()
class UNetDepthHead(UNetDecoder):
    """The decoder :class:`UNetDecoder` as a depth network.

    Any encoder of MMSeg can be used. With :class:`ResNetWithStem`, whose features begin at stride
    2, four stages have a skip connection. With an encoder whose features begin at stride 4, three
    stages have one.

    ``initial_disparity`` of 0.5 is a depth of 0.2, as in Monodepth2. A pixel that is projected
    outside of its source view has no gradient. So begin near the true depth if right images are
    used, whose distance is in meters; 0.01 is 9 m.

    Args:
        **kwargs: Arguments of :class:`UNetDecoder`.

    Source: Godard et al., Monodepth2, ICCV 2019; "dec6": Hoyer et al., IJCV 2023.
    """

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Decode features.

        Args:
            features (Sequence[Tensor]): Features of the encoder, (N, C, h, w), fine to coarse.

        Returns:
            list[Tensor]: Disparity in 0 (far) .. 1 (near), float (N, 1, h, w), fine to coarse. The
            first is twice the size of the features at stride 2.

        Raises:
            ValueError: The features do not fit ``in_channels``, or the coarsest ones are smaller
                than 2x2.
        """
        return self.disparities(self.decode(features))
