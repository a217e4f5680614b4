# Licensed under the Apache License 2.0, see LICENSE.
"""Networks that tell source predictions from target predictions."""

from collections.abc import Mapping

from mmengine.model import BaseModule, ModuleDict
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FCNDiscriminator(BaseModule):
    """DCGAN's discriminator without normalization, with one decision per patch.

    It has five 4x4 convolutions of stride 2, LeakyReLU(0.2) between them, and PyTorch's default
    initialization.

    Args:
        in_channels (int): Channels of the input: the number of classes for self-information, 1 for
            depth.
        base_channels (int): Channels of the first convolution. Each of the next three doubles them.
            Defaults to 64.
        init_cfg (dict, optional): MMEngine's initialization. Defaults to None.

    Source: Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
        Adversarial Networks", ICLR 2016, as ADVENT and DADA use it.
    """

    def __init__(self, in_channels: int, base_channels: int = 64, init_cfg: dict | None = None):
        super().__init__(init_cfg=init_cfg)
        self.in_channels = in_channels
        widths = [in_channels, *(base_channels * factor for factor in (1, 2, 4, 8)), 1]
        self.layers = nn.Sequential()
        for index, (before, after) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            if index:
                self.layers.append(nn.LeakyReLU(0.2))
            self.layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1))

    def forward(self, maps: Tensor) -> Tensor:
        """Predict the domain of each patch.

        Args:
            maps (Tensor): (N, in_channels, H, W), H and W at least 32.

        Returns:
            Tensor: Logits (N, 1, H // 32, W // 32); positive means target.

        Raises:
            ValueError: The maps have another number of channels, or are smaller than a patch.
        """
        if maps.shape[1] != self.in_channels or min(maps.shape[2:]) < 32:
            raise ValueError(
                f'FCNDiscriminator takes maps of {self.in_channels} channels and at least 32x32 '
                f'pixels, got {tuple(maps.shape)}'
            )
        return self.layers(maps)


class DiscriminatorDict(ModuleDict):
    """Discriminators by name.

    One call runs all of them, so that ``DistributedDataParallel`` can wrap it.
    """

    def forward(self, maps: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Logits (N, 1, h, w) of every map, by name of its discriminator."""
        return {name: self[name](one) for name, one in maps.items()}
