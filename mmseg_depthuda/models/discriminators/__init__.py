# Licensed under the Apache License 2.0, see LICENSE.
"""Discriminators, and the spaces that they look at."""

from .fcn_discriminator import DiscriminatorDict, FCNDiscriminator

__all__ = ['DiscriminatorDict', 'FCNDiscriminator']
