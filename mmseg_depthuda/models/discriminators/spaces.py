# Licensed under the Apache License 2.0, see LICENSE.
"""Spaces: the input of a discriminator, made from the predictions of a head."""

from collections.abc import Mapping

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from torch import Tensor

from mmseg_depthuda.adaptation.self_information import fuse_with_map, weighted_self_information
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


class TaskSpace(Space):
    """A predicted map of one channel as it is; a subclass names its task in ``tasks``."""

    def channels(self, head: BaseDecodeHead) -> int:
        """One."""
        return 1

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """The map as it is."""
        return predictions[self.tasks[0]]


class TaskAwareSpace(Space):
    """Self-information times a predicted map of one channel; a subclass names ``('seg', TASK)``."""

    def __call__(self, predictions: Mapping[str, Tensor]) -> Tensor:
        """See :func:`fuse_with_map`."""
        seg, factor = (predictions[task] for task in self.tasks)
        return fuse_with_map(weighted_self_information(seg), factor)


@SPACES.register_module(name='depth')
class DepthSpace(TaskSpace):
    """Predicted inverse depth alone (an ablation of DADA)."""

    tasks = ('depth',)


@SPACES.register_module(name='depth_aware')
class DepthAwareSpace(TaskAwareSpace):
    """Self-information times predicted inverse depth (DADA)."""

    tasks = ('seg', 'depth')


@SPACES.register_module(name='density')
class DensitySpace(TaskSpace):
    """Predicted density alone (an ablation of depth distribution)."""

    tasks = ('density',)


@SPACES.register_module(name='density_aware')
class DensityAwareSpace(TaskAwareSpace):
    """Self-information times predicted density (depth distribution)."""

    tasks = ('seg', 'density')
