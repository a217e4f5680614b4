# Licensed under the Apache License 2.0, see LICENSE.
"""Discriminators, and the spaces that are their inputs."""

from .fcn_discriminator import DiscriminatorDict, FCNDiscriminator
from .spaces import (
    DensityAwareSpace,
    DensitySpace,
    DepthAwareSpace,
    DepthSpace,
    SelfInformationSpace,
    Space,
    TaskAwareSpace,
    TaskSpace,
)

__all__ = [
    'DensityAwareSpace',
    'DensitySpace',
    'DepthAwareSpace',
    'DepthSpace',
    'DiscriminatorDict',
    'FCNDiscriminator',
    'SelfInformationSpace',
    'Space',
    'TaskAwareSpace',
    'TaskSpace',
]
