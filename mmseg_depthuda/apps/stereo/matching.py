# Licensed under the Apache License 2.0, see LICENSE.
"""Disparity of a rectified stereo pair, matched where there is something to match.

Semi-global matching (Hirschmüller, "Stereo processing by semiglobal matching and mutual
information", TPAMI 2008) is OpenCV's. This module keeps a disparity only if left and right image
agree on it, if the windows that it matches are really alike, and if its neighbors have similar
ones. The constants are the best of those tried on the street world, see docs/stereo_depth.md.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .fattening import without_fattening
from .inpainting import inpaint_disparity

SUBPIXEL = 16  # OpenCV's steps per pixel
# The search begins beyond infinity, so that noise around disparity 0 is matched, and its sub-pixel
# position found, as it is everywhere else.
FIRST_DISPARITY = -2
MIN_DISPARITY = 0.75  # pixels; the matcher's error of 0.25 is a third of it
NEAREST_METRES = 3.0
RANGE_OF_WIDTH = 1 / 16  # 128 pixels for Cityscapes
LARGE_WIDTH = 1024  # from here on, a window of 5 pixels shows as little of the scene as 3 do below
NOISE_BLUR = 0.7  # pixels
MEDIAN = 5  # pixels
CONSISTENCY = 1.0  # pixels
MIN_CORRELATION = 0.5
SPECKLE_SHARE = 1 / 2500  # of the image
FLAT_VARIANCE = 1.0  # squared gray values
FEWEST_EXPOSED = 100  # pixels whose mean and deviation are worth something
FLAT_SLOPE = 2.0  # squared gray values per pixel


def largest_disparity(
    width: int, focal_baseline: float | None = None, nearest: float = NEAREST_METRES
) -> float:
    """Disparity up to which it is searched.

    Args:
        width: Width of the images, pixels.
        focal_baseline: Focal length (pixels) times baseline (meters), if known.
        nearest: Distance of the nearest thing in sight, meters.

    Returns:
        The disparity of that distance, at most half the width; without camera, a sixteenth of the
        width. Pixels.
    """
    if focal_baseline is None:
        return width * RANGE_OF_WIDTH
    return min(focal_baseline / nearest, width / 2)


def default_block_size(width: int) -> int:
    """Side of the matching window for images of that width, pixels."""
    return 5 if width >= LARGE_WIDTH else 3


def match_stereo(
    left: np.ndarray,
    right: np.ndarray,
    max_disparity: float | None = None,
    block_size: int | None = None,
    min_disparity: float = MIN_DISPARITY,
    inpaint: bool = True,
) -> np.ndarray:
    """Disparity of the pixels of the left image whose match can be trusted.

    Args:
        left: Left image of a rectified pair, uint8 ``(H, W, 3)``.
        right: Right image, the same.
        max_disparity: Largest disparity to find, pixels. By default :func:`largest_disparity` of
            the width.
        block_size: Side of the matching window, odd, pixels. By default 3, and 5 for images that
            are at least 1024 wide.
        min_disparity: What is farther away than this counts as too far to be measured. Pixels,
            positive.
        inpaint: Whether to fill gaps, see :func:`inpaint_disparity`.

    Returns:
        float32 ``(H, W)``, pixels; 0 where nothing is known. A point in column ``u`` of the left
        image lies in column ``u - disparity`` of the right one.

    Raises:
        ValueError: If the images are not a pair of 8-bit color images of one size, or an argument
            is out of range.
    """
    if min_disparity <= 0:
        raise ValueError(f'min_disparity must be positive, got {min_disparity}.')
    if block_size is None:
        block_size = default_block_size(left.shape[1])
    disparity = matched_disparity(left, right, max_disparity, block_size)
    if inpaint:
        disparity = inpaint_disparity(disparity, left)
    # After inpainting, so that gaps within a surface are not taken for something else.
    disparity = without_fattening(disparity, left, (block_size + 2) // 2 + MEDIAN // 2)
    # Comparison with NaN is False.
    return np.where(disparity >= min_disparity, disparity, np.float32(0))


def matched_disparity(
    left: np.ndarray,
    right: np.ndarray,
    max_disparity: float | None = None,
    block_size: int | None = None,
) -> np.ndarray:
    """What is matched, points at infinity included.

    Args:
        left: As in :func:`match_stereo`.
        right: As in :func:`match_stereo`.
        max_disparity: As in :func:`match_stereo`.
        block_size: As in :func:`match_stereo`.

    Returns:
        float32 ``(H, W)``, pixels, from -2 on; NaN where nothing is matched.

    Raises:
        ValueError: As :func:`match_stereo`.
    """
    _check_pair_of_images(left, right)
    height, width = left.shape[:2]
    if max_disparity is None:
        max_disparity = largest_disparity(width)
    if block_size is None:
        block_size = default_block_size(width)
    matcher = _matcher(max_disparity, block_size, width)
    left, right = (cv2.GaussianBlur(image, (0, 0), NOISE_BLUR) for image in (left, right))
    raw = _semi_global(matcher, left, right)
    mirrored = _semi_global(matcher, right[:, ::-1], left[:, ::-1])
    consistent = left_right_consistent(raw, mirrored[:, ::-1])
    disparity = cv2.medianBlur(raw, MEDIAN)
    matched = consistent & (disparity >= FIRST_DISPARITY)
    gray_left, gray_right = (
        cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32) for image in (left, right)
    )
    matched &= correlation(gray_left, gray_right, disparity, block_size + 2) >= MIN_CORRELATION
    gray_right = exposed_alike(gray_left, gray_right, disparity, matched)
    disparity = subpixel_refined(gray_left, gray_right, disparity, matched, block_size + 4)
    return _without_speckles(disparity, matched, round(SPECKLE_SHARE * height * width))


def _check_pair_of_images(left: np.ndarray, right: np.ndarray) -> None:
    for name, image in (('left', left), ('right', right)):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f'{name} has shape {image.shape} and dtype {image.dtype}, but an image is uint8 '
                '(H, W, 3).'
            )
    if left.shape != right.shape:
        raise ValueError(
            f'left is {left.shape[1]}x{left.shape[0]}, right {right.shape[1]}x{right.shape[0]}, '
            'but rectified images have one size.'
        )


def _matcher(max_disparity: float, block_size: int, width: int) -> cv2.StereoSGBM:
    if not 1 <= max_disparity < width:
        raise ValueError(
            f'max_disparity must be from 1 to below the width of the images, {width}, got '
            f'{max_disparity}.'
        )
    if block_size < 1 or block_size % 2 == 0:
        raise ValueError(f'block_size must be a positive odd number, got {block_size}.')
    # One more than the largest, for its sub-pixel position; OpenCV wants multiples of 16.
    candidates = 16 * math.ceil((max_disparity - FIRST_DISPARITY + 2) / 16)
    values = 3 * block_size**2
    return cv2.StereoSGBM.create(
        minDisparity=FIRST_DISPARITY,
        numDisparities=candidates,
        blockSize=block_size,
        P1=8 * values,
        P2=32 * values,
        uniquenessRatio=5,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )


def _semi_global(matcher: cv2.StereoSGBM, image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """OpenCV's disparity, float32 ``(H, W)``, also in the columns where it searches none.

    It leaves out the columns from which some candidate lies outside of the other image. They are
    searched here beside a border; what lands on the border is not consistent.
    """
    left = matcher.getNumDisparities() + FIRST_DISPARITY
    right = -FIRST_DISPARITY
    padded = [
        cv2.copyMakeBorder(i, 0, 0, left, right, cv2.BORDER_REPLICATE) for i in (image, other)
    ]
    disparity = matcher.compute(*padded)[:, left : left + image.shape[1]]
    return disparity.astype(np.float32) / SUBPIXEL


def left_right_consistent(left_disparity: np.ndarray, right_disparity: np.ndarray) -> np.ndarray:
    """Where the right image leads back to the left pixel.

    The pixel in column u lies in column ``u - d`` of the right image, rounded; the disparity found
    there must differ by at most one pixel. This fails where the right camera does not see the
    point.

    Args:
        left_disparity: Disparity of the left image, float32 ``(H, W)``, pixels.
        right_disparity: Disparity of the right image, the same; positive, too.

    Returns:
        bool ``(H, W)``.
    """
    width = left_disparity.shape[1]
    partner = np.rint(np.arange(width, dtype=np.float32) - left_disparity).astype(np.intp)
    inside = (partner >= 0) & (partner < width)
    found = np.take_along_axis(right_disparity, partner.clip(0, width - 1), axis=1)
    return inside & (np.abs(found - left_disparity) <= CONSISTENCY)


def correlation(
    left: np.ndarray, right: np.ndarray, disparity: np.ndarray, window: int
) -> np.ndarray:
    """Zero-mean normalized cross-correlation of the windows that a disparity brings together.

    Noise alone is not correlated: this is low where there is nothing to match, as in the sky,
    though the smoothness of semi-global matching continues a disparity into it.

    Args:
        left: Gray values, float32 ``(H, W)``.
        right: The same.
        disparity: float32 ``(H, W)``, pixels.
        window: Side of the window, odd.

    Returns:
        float32 ``(H, W)``, -1..1.
    """
    a, b = left, warped(right, disparity)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (window, window))

    mean_a, mean_b = mean(a), mean(b)
    variance_a = np.maximum(mean(a * a) - mean_a * mean_a, FLAT_VARIANCE)
    variance_b = np.maximum(mean(b * b) - mean_b * mean_b, FLAT_VARIANCE)
    return (mean(a * b) - mean_a * mean_b) / np.sqrt(variance_a * variance_b)


def exposed_alike(
    left: np.ndarray, right: np.ndarray, disparity: np.ndarray, matched: np.ndarray
) -> np.ndarray:
    """Give the right image the mean and the contrast that the left one has where both match.

    Correlation does not depend on the exposure of the cameras, but squared differences do.

    Args:
        left: Gray values, float32 ``(H, W)``.
        right: The same.
        disparity: float32 ``(H, W)``, pixels.
        matched: Pixels that are compared, bool ``(H, W)``; fewer than 100 change nothing.

    Returns:
        The right image, float32 ``(H, W)``.
    """
    if np.count_nonzero(matched) < FEWEST_EXPOSED:
        return right
    seen_left, seen_right = left[matched], warped(right, disparity)[matched]
    gain = seen_left.std() / max(seen_right.std(), 1.0)
    return gain * (right - seen_right.mean()) + seen_left.mean()


def subpixel_refined(
    left: np.ndarray, right: np.ndarray, disparity: np.ndarray, matched: np.ndarray, window: int
) -> np.ndarray:
    """One step of Lucas and Kanade (IJCAI 1981) along the row.

    The parabola through three costs of semi-global matching prefers whole pixels. With the change
    ``e = left(u) - right(u - d)`` and the slope ``g`` of the right image there, the step
    ``-sum(e g) / sum(g g)`` over a window minimizes the squared differences.

    Args:
        left: Gray values, float32 ``(H, W)``.
        right: The same.
        disparity: float32 ``(H, W)``, pixels.
        matched: Pixels that count within a window, bool ``(H, W)``: not those that the right camera
            does not see.
        window: Side of the window, odd.

    Returns:
        float32 ``(H, W)``, at most half a pixel away.
    """
    slope = cv2.filter2D(right, -1, np.array([[-0.5, 0, 0.5]], np.float32))
    slope, error = warped(slope, disparity) * matched, left - warped(right, disparity)
    along, across = (cv2.blur(values, (window, window)) for values in (error * slope, slope**2))
    return disparity - (along / (across + FLAT_SLOPE)).clip(-0.5, 0.5)


def warped(right: np.ndarray, disparity: np.ndarray) -> np.ndarray:
    """The right image as the left camera sees it.

    Args:
        right: Gray values, float32 ``(H, W)``.
        disparity: float32 ``(H, W)``, pixels.

    Returns:
        float32 ``(H, W)``.
    """
    height, width = disparity.shape
    columns = np.arange(width, dtype=np.float32) - disparity
    rows = np.repeat(np.arange(height, dtype=np.float32)[:, None], width, axis=1)
    return cv2.remap(right, columns, rows, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _without_speckles(disparity: np.ndarray, matched: np.ndarray, smallest: int) -> np.ndarray:
    """NaN where nothing is matched and in patches that are smaller than ``smallest`` pixels."""
    nothing = SUBPIXEL * (FIRST_DISPARITY - 4)
    steps = np.where(matched, np.rint(SUBPIXEL * disparity), nothing).astype(np.int16)
    # Returns the array in OpenCV 4, a tuple in OpenCV 5, and works in place in both.
    cv2.filterSpeckles(steps, nothing, smallest, SUBPIXEL)
    return np.where(steps == nothing, np.float32(np.nan), disparity)
