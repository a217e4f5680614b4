# Licensed under the Apache License 2.0, see LICENSE.
"""A renderer of driving scenes in two domains, the embedded default data."""

from .camera import Camera
from .generation import WorldConfig, generate
from .world import StreetScene, View

__all__ = ['Camera', 'StreetScene', 'View', 'WorldConfig', 'generate']
