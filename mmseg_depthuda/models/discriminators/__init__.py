# Licensed under the Apache License 2.0, see LICENSE.
"""Discriminators, and the spaces that are their inputs."""

from .fcn_discriminator import DiscriminatorDict, FCNDiscriminator
from .spaces import DepthAwareSpace, DepthSpace, SelfInformationSpace, Space

__all__ = [
    'DepthAwareSpace',
    'DepthSpace',
    'DiscriminatorDict',
    'FCNDiscriminator',
    'SelfInformationSpace',
    'Space',
]
