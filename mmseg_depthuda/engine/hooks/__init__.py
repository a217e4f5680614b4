# Licensed under the Apache License 2.0, see LICENSE.
from .dacs_hook import DACSHook
from .strict_load_hook import StrictLoadHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = ['DACSHook', 'StrictLoadHook', 'UDAVisualizationHook']
