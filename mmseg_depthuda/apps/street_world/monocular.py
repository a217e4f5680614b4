# Licensed under the Apache License 2.0, see LICENSE.
"""Imperfect depth as a monocular network gives it."""

from __future__ import annotations

import cv2
import numpy as np

INVERSE_DEPTH_SCALE = (
    655.36  # encoding of CorDA: 655.36 / (metres + 0.01), 1 where there is no depth
)


def pseudo_inverse_depth(depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Monocular pseudo depth as the 16-bit PNG that CorDA reads as ``png / 256 + 1``.

    ``png = 256 * (655.36 / (metres + 0.01) - 1)`` of a smoothed depth with an error of a few per
    cent that varies slowly over the image, as the prediction of a network would; 0 means no depth
    (the sky).

    Returns:
        uint16 ``(H, W)``.
    """
    height, width = depth.shape
    inverse = (INVERSE_DEPTH_SCALE / (depth + np.float32(0.01))).astype(np.float32)
    inverse = cv2.GaussianBlur(inverse, (0, 0), max(0.5, width / 500))
    error = cv2.resize(
        rng.normal(0, 0.04, (5, 9)).astype(np.float32),
        (width, height),
        interpolation=cv2.INTER_CUBIC,
    )
    values = np.rint((inverse * np.exp(error) - 1) * 256)
    values[np.isinf(depth)] = 0
    return np.clip(values, 0, 65535).astype(np.uint16)
