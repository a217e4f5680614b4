# Licensed under the Apache License 2.0, see LICENSE.
"""Spaces: the input of a discriminator, made from the predictions of a head."""

from collections.abc import Mapping

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmseg_depthuda.adaptation.self_information import fuse_with_depth, weighted_self_information
from mmseg_depthuda.registry import SPACES


class Space:
    """Makes the input of a discriminator. Subclass it, and register the class under a name.

    Attributes:
        tasks (tuple[str, ...]): Predictions that it needs.
    """

    tasks: tuple[str, ...] = ()

    def channels(self, head: BaseDecodeHead) -> int:
        """Channels of the input.

        Args:
            head (BaseDecodeHead): The head that gives the predictions.

        Returns:
            int: One per class, unless a subclass has another number.
        """
        return head.out_channels

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """Make the input.

        Args:
            predictions (Mapping[str, Tensor]): Predictions of ``tasks`` by name, each (N, C, H, W)
                at the size of the images.

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
