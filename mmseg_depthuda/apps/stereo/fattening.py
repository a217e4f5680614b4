# Licensed under the Apache License 2.0, see LICENSE.
"""Removing the disparity that a matching window spreads beyond the outline of a surface."""

from __future__ import annotations

import cv2
import numpy as np

SMALLEST_UNKNOWN = 5  # pixels; smaller gaps have no color of their own
MARGIN = 2  # pixels that are looked at beyond the strip, on both sides
LEAST_CONTRAST = 60.0  # Euclidean distance of two colors, gray values


def without_fattening(disparity: np.ndarray, image: np.ndarray, radius: int) -> np.ndarray:
    """Pixels beside an unknown region that look like it rather than like their surface.

    A window at the skyline, say, holds the edge of the house and untextured sky. The edge alone
    decides the match, so that the sky beside it gets the disparity of the house ("foreground
    fattening"). Such a pixel has the color of the unknown region. Compared are the mean colors
    of the unknown region and of the surface more than ``radius`` inside its outline, within a
    window around the pixel, where the two differ clearly.

    Args:
        disparity: float32 ``(H, W)``, pixels; NaN where unknown.
        image: uint8 ``(H, W, 3)``.
        radius: Width of the strip beside unknown regions that is judged, pixels: the radius of the
            window that matched.

    Returns:
        float32 ``(H, W)``, NaN at these pixels, too.
    """
    known = (~np.isnan(disparity)).astype(np.uint8)
    strip = 2 * radius + 1
    inside = cv2.erode(known, np.ones((strip, strip), np.uint8))
    small = np.ones((SMALLEST_UNKNOWN, SMALLEST_UNKNOWN), np.uint8)
    unknown = cv2.morphologyEx(1 - known, cv2.MORPH_OPEN, small)
    window = 2 * (radius + MARGIN) + 1
    surface, surface_near = _mean_colors(image, inside, window)
    beyond, beyond_near = _mean_colors(image, unknown, window)
    judged = (known > inside) & surface_near & beyond_near
    judged &= _squared_distance(surface, beyond) > LEAST_CONTRAST**2
    fattened = judged & (_squared_distance(image, beyond) < _squared_distance(image, surface))
    return np.where(fattened, np.float32(np.nan), disparity)


def _mean_colors(image: np.ndarray, mask: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean color of the masked pixels around every pixel, and whether there are any."""
    size = (window, window)
    number = cv2.boxFilter(mask, cv2.CV_32F, size, normalize=False)
    masked = cv2.copyTo(image, mask)
    total = cv2.boxFilter(masked, cv2.CV_32F, size, normalize=False)
    return total / np.maximum(number, 1)[..., None], number > 0


def _squared_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    difference = a - b
    return np.einsum('vuc,vuc->vu', difference, difference)
