# Licensed under the Apache License 2.0, see LICENSE.
"""Registered models: segmentors, and the parts that they are built from."""

from .backbones import *  # noqa: F403
from .data_preprocessors import *  # noqa: F403
from .decode_heads import *  # noqa: F403
from .discriminators import *  # noqa: F403
from .losses import *  # noqa: F403
from .pose_networks import *  # noqa: F403
from .segmentors import *  # noqa: F403
from .teachers import *  # noqa: F403
from .wrappers import *  # noqa: F403
