# Licensed under the Apache License 2.0, see LICENSE.
from .fcn_discriminator import DiscriminatorDict, FCNDiscriminator

__all__ = ['DiscriminatorDict', 'FCNDiscriminator']
