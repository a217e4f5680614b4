# Licensed under the Apache License 2.0, see LICENSE.
"""Imperfect depth as a monocular network gives it."""

from __future__ import annotations

import cv2
import numpy as np

from mmseg_depthuda.datasets.depth_encodings import encode_png_disparity, inverse_depth_of_metres


def pseudo_inverse_depth(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Monocular pseudo depth as the disparity PNG that CorDA reads.

    CorDA's encoding of a smoothed depth with an error of a few percent that varies slowly over the
    image, as the prediction of a network would; 0 means no depth (the sky).

    Returns:
        uint16 ``(H, W)``.
    """
    height, width = depth.shape
    inverse = inverse_depth_of_metres(depth).astype(np.float32)
    smooth = cv2.GaussianBlur(inverse, (0, 0), max(0.5, width / 500))
    error = cv2.resize(
        rng.normal(0, 0.04, (5, 9)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    values = encode_png_disparity(smooth * np.exp(error))
    values[np.isinf(depth)] = 0
    return values
