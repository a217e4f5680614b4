# Licensed under the Apache License 2.0, see LICENSE.
"""What a discriminator looks at: maps made of the predictions of a head."""

from collections.abc import Mapping

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmseg_depthuda.adaptation.self_information import fuse_with_depth, weighted_self_information
from mmseg_depthuda.registry import SPACES


class Space:
    """A function of predictions; subclass it and register the class under the space's name.

    Attributes:
        tasks (tuple[str, ...]): Predictions that it is made of.
    """

    tasks: tuple[str, ...] = ()

    def channels(self, head: BaseDecodeHead) -> int:
        """Channels of the map.

        Args:
            head (BaseDecodeHead): The head whose predictions it is made of.

        Returns:
            int: One per class, unless a subclass says otherwise.
        """
        return head.out_channels

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Make the map.

        Args:
            predictions (Mapping[str, Tensor]): Of ``tasks``, each (N, C, H, W) at the size of the
                images.

        Returns:
            Tensor: (N, channels, H, W).
        """
        raise NotImplementedError


@SPACES.register_module(name='self_information')
class SelfInformationSpace(Space):
    """Weighted self-information of the classes (ADVENT)."""

    tasks = ('seg',)

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """See :func:`weighted_self_information`."""
        return weighted_self_information(predictions['seg'])


@SPACES.register_module(name='depth')
class DepthSpace(Space):
    """Predicted inverse depth alone (an ablation of DADA)."""

    tasks = ('depth',)

    def channels(self, head: BaseDecodeHead) -> int:
        """One."""
        return 1

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """The inverse depth as it is."""
        return predictions['depth']


@SPACES.register_module(name='depth_aware')
class DepthAwareSpace(Space):
    """Self-information times predicted inverse depth (DADA)."""

    tasks = ('seg', 'depth')

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """See :func:`fuse_with_depth`."""
        return fuse_with_depth(weighted_self_information(predictions['seg']), predictions['depth'])
