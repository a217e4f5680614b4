# Licensed under the Apache License 2.0, see LICENSE.
"""Whether two images are a rectified stereo pair, and which is the left one.

A few hundred corners are tracked from left to right and back (pyramidal Lucas-Kanade, OpenCV). In a
rectified pair they stay in their row and move to the left.
"""

from __future__ import annotations

import cv2
import numpy as np

CORNERS = 400
FEWEST_CORNERS = 20
FEWEST_TRACKED = 0.25  # share; of corners of two different images, 6 % were tracked at most
LARGEST_ROW_OFFSET = 1.0  # pixels, median; 0.04 to 0.09 in rectified pairs of the street world
BEHIND_INFINITY = -1.0  # pixels of disparity; no point of a rectified pair has less
_WINDOW = 15
_RETURN_ERROR = 0.5  # pixels


class StereoPairError(ValueError):
    """Two images are not a rectified stereo pair, or not one of the camera."""


def check_rectified(left: np.ndarray, right: np.ndarray) -> None:
    """Look at the motion of corners from the left to the right image.

    Args:
        left: Left image, uint8 ``(H, W, 3)``.
        right: Right image, the same size.

    Raises:
        StereoPairError: If there are no corners, as in a constant image; if they are not found
            in the other image, because it shows something else; if they leave their rows or have
            negative disparities, because the pair is not rectified; or if most disparities are
            negative, because left and right are exchanged.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (left, right)]
    corners = cv2.goodFeaturesToTrack(grey[0], CORNERS, qualityLevel=0.01, minDistance=5)
    if corners is None or len(corners) < FEWEST_CORNERS:
        raise StereoPairError(
            f'the left image has {0 if corners is None else len(corners)} corners, too few to '
            'match anything: it is (nearly) constant. Leave the pair out.'
        )
    motion = _track(*grey, corners)
    if len(motion) < FEWEST_TRACKED * len(corners):
        raise StereoPairError(
            f'of {len(corners)} corners of the left image, only {len(motion)} are found in the '
            'right one: the two do not show the same scene at the same time. Check that the files '
            'of both folders belong together by name.'
        )
    disparity, row_offset = -motion[:, 0], float(np.median(np.abs(motion[:, 1])))
    if row_offset > LARGEST_ROW_OFFSET:
        raise StereoPairError(
            f'corresponding points lie {row_offset:.1f} pixels apart vertically (median): the pair '
            'is not rectified. Rectify both images with the calibration of the cameras '
            '(cv2.stereoRectify) first.'
        )
    behind = float(np.mean(disparity < BEHIND_INFINITY))
    if behind > 0.5:
        raise StereoPairError(
            f'{behind:.0%} of the points lie farther right in the right image than in the left '
            'one: left and right are exchanged. Exchange the two folders.'
        )
    if behind > 0.1:
        raise StereoPairError(
            f'{behind:.0%} of the points have a negative disparity, as if behind infinity: the '
            'images are cropped differently, or not rectified. Rectify them with the calibration '
            'of the cameras (cv2.stereoRectify with CALIB_ZERO_DISPARITY).'
        )


def _track(image: np.ndarray, other: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Motion ``(n, 2)`` in pixels of the corners that are found, and lead back to themselves."""
    levels = max(3, round(np.log2(image.shape[1] / 64)))
    tracker = dict(winSize=(_WINDOW, _WINDOW), maxLevel=levels)
    there, found, _ = cv2.calcOpticalFlowPyrLK(image, other, corners, None, **tracker)
    back, returned, _ = cv2.calcOpticalFlowPyrLK(other, image, there, None, **tracker)
    error = np.abs(back - corners).max(axis=(1, 2))
    good = (found.ravel() == 1) & (returned.ravel() == 1) & (error < _RETURN_ERROR)
    return (there - corners)[good, 0]
