# Licensed under the Apache License 2.0, see LICENSE.
"""Mixtures of Gaussians over column, row and depth of each class: samples, fit, pictures, speed."""

from .class_samples import ClassSamples, draw_class_samples, feature_grid
from .mixture_fit import FitReport, fit_class, fit_depth_mixtures

__all__ = [
    'ClassSamples',
    'FitReport',
    'draw_class_samples',
    'feature_grid',
    'fit_class',
    'fit_depth_mixtures',
]
