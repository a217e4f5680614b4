# Licensed under the Apache License 2.0, see LICENSE.
"""A ResNet that also returns the features of its stem: the encoder of Monodepth2."""

from __future__ import annotations

from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class ResNetWithStem(ResNet):
    """MMSeg's ``ResNet``, which also returns the output of its stem.

    A decoder can use it for a skip connection at half the size of the image.

    Args:
        **kwargs: Arguments of :class:`mmseg.models.backbones.ResNet`. ``frozen_stages=4`` freezes
            the whole encoder.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Encode images.

        Args:
            x (Tensor): Normalized images, (N, 3, H, W).

        Returns:
            tuple[Tensor, ...]: The output of the stem after its activation, at stride 2, then those
            of the stages in ``out_indices``. By default the strides are 2, 4, 8, 16, 32.
        """
        stem = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        outputs = [stem]
        x = self.maxpool(stem)
        for index, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if index in self.out_indices:
                outputs.append(x)
        return tuple(outputs)
