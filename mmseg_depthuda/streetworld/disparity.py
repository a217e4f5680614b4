# Licensed under the Apache License 2.0, see LICENSE.
"""Imperfect depth, as stereo matching and monocular networks give it."""

from __future__ import annotations

import cv2
import numpy as np

SUBPIXEL = 1 / 16  # steps of the matcher's disparity, pixels
MATCHING_NOISE = 0.12  # pixels
SMALLEST_DISPARITY = 0.75  # pixels; farther points are not matched
TEXTURE_THRESHOLD = 1.2  # grey values; below, a window has nothing to match
INVERSE_DEPTH_SCALE = (
    655.36  # encoding of CorDA: 655.36 / (metres + 0.01), 1 where there is no depth
)


def exact_disparity(depth: np.ndarray, fx: float, baseline: float) -> np.ndarray:
    """Disparity ``fx * baseline / z`` in pixels, 0 for the sky; float32 ``(H, W)``."""
    return (fx * baseline / depth).astype(np.float32)


def occluded(disparity: np.ndarray) -> np.ndarray:
    """Pixels of the left image that the right camera does not see, bool ``(H, W)``.

    The pixel at column u is looked for at u - d: hidden if something nearer arrives there,
    and outside the right image if u - d < 0.
    """
    height, width = disparity.shape
    landing = np.rint(np.arange(width) - disparity).astype(np.int64)
    outside = landing < 0
    place = np.arange(height)[:, None] * width + np.maximum(landing, 0)
    nearest = np.zeros(height * width, np.float32)
    np.maximum.at(nearest, place[~outside], disparity[~outside])
    return outside | (nearest[place] > disparity + 1)  # of a slanted surface, neighbours may meet


def stereo_disparity(
    image: np.ndarray, disparity: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """What a stereo matcher makes of a rectified pair.

    Foreground edges are fattened by the matching window, disparities are noisy and come in steps
    of ``SUBPIXEL``; nothing is found in occluded, textureless and far regions.

    Args:
        image: Left image, uint8 ``(H, W, 3)``.
        disparity: Exact disparity, float32 ``(H, W)``, pixels.
        rng: Draws the noise.

    Returns:
        float32 ``(H, W)``, pixels, 0 where nothing was matched.
    """
    height, width = disparity.shape
    window = max(3, width // 170) | 1
    fattened = cv2.dilate(disparity, np.ones((window, window), np.uint8))
    noise = rng.standard_normal(disparity.shape, dtype=np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), window / 2) * np.float32(window * np.sqrt(np.pi))
    # Noise of neighbouring pixels is correlated because their windows overlap; the factor restores
    # unit variance.
    matched = fattened + np.float32(MATCHING_NOISE) * noise
    matched = np.rint(matched / SUBPIXEL) * np.float32(SUBPIXEL)
    missing = (
        occluded(disparity) | (matched < SMALLEST_DISPARITY) | _textureless(image, window, rng)
    )
    matched[missing] = 0
    return matched


def _textureless(image: np.ndarray, window: int, rng: np.random.Generator) -> np.ndarray:
    """Where the structure in the matching window is too weak, bool ``(H, W)``."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    size = (2 * window + 1, 2 * window + 1)
    mean = cv2.blur(smooth, size)
    deviation = np.sqrt(np.maximum(cv2.blur(smooth * smooth, size) - mean * mean, 0))
    luck = cv2.resize(rng.uniform(0.5, 1.5, (9, 17)).astype(np.float32), grey.shape[::-1])
    return deviation < TEXTURE_THRESHOLD * luck


def depth_of_disparity(disparity: np.ndarray, fx: float, baseline: float) -> np.ndarray:
    """Metres ``fx * baseline / disparity``, float32 ``(H, W)``; 0 where there is no disparity."""
    depth = np.zeros_like(disparity)
    return np.divide(np.float32(fx * baseline), disparity, out=depth, where=disparity > 0)


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
