# Licensed under the Apache License 2.0, see LICENSE.
"""Prediction with nothing but a checkpoint: images to labels and pictures, networks to ONNX.

Example:
    >>> from mmseg_depthuda.apps.prediction import Predictor
    >>> predictor = Predictor('iter_40000.pth')  # doctest: +SKIP
    >>> prediction = predictor('street.jpg')  # doctest: +SKIP
"""

from .predictor import Prediction, Predictor

__all__ = ['Prediction', 'Predictor']
