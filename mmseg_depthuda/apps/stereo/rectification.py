# Licensed under the Apache License 2.0, see LICENSE.
"""Whether two images are a rectified stereo pair, and which is the left one.

SIFT features (Lowe, IJCV 2004; OpenCV) are matched between the images without regard to rows. In a
rectified pair, corresponding points lie in one row, and farther left in the right image.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import cv2
import numpy as np
from mmengine.logging import print_log

from .matching import exposed_alike, warped

LARGEST_CHECKED_WIDTH = 1024  # larger images are shrunk to it; pixels below are of shrunk images
FEATURES = 1000
CONTRAST_THRESHOLD = 0.02  # half of Lowe's, for dark and hazy images
DISTANCE_RATIO = 0.8  # Lowe's
FEWEST_MATCHES = 20
# Share of the features that look alike: 39 % and more in pairs of the street world, even with
# strong noise. A texture that repeats itself fails the ratio test for the rest, and the few that
# pass (up to 15 %) may agree on a wrong multiple of its period.
FEWEST_UNAMBIGUOUS = 0.3
LARGEST_ROW_OFFSET = (
    0.75  # pixels, median; up to 0.4 in pairs of the street world, 1.0 after 1 degree
)
ALIGNED = 1.5  # pixels between the rows of a match that counts for the sign
EPIPOLAR_DISTANCE = 1.0  # pixels
BEHIND_INFINITY = -1.0  # pixels of disparity; no point of a rectified pair has less
# Distance of SIFT descriptors (their norm is 512) up to which features look alike. Of the features
# of a pair, 26 % to all have a partner that looks alike; of two different street scenes, 0 to 15 %.
ALIKE_DISTANCE = 200
FEWEST_ALIKE = 0.2
FEWEST_FEATURES = 50  # that say whether images are alike
FLAT_DEVIATION = 1.0  # gray values
# In pairs of the street world, 74 % and more is matched, even with noise, and the residual is up to
# 0.04 pixels. Of pairs whose rows are 0.5 to 1.5 pixels apart or that are rotated by half a degree,
# 45 % to 90 % is matched, but the residual is 0.24 and more; of all others, less is matched.
CONVINCING_SHARE = 0.6
CONVINCING_RESIDUAL = 0.15  # pixels
RESIDUAL_CELLS = (8, 8)
LEAST_OF_CELL = 0.3  # share of a cell that is matched
FLAT_SLOPE = 1.0  # squared gray values per pixel


class StereoPairError(ValueError):
    """Two images are not a rectified stereo pair, or not one of the camera."""


class _Matches(NamedTuple):
    """Matched features of two images.

    Attributes:
        left: Positions in the left image, float32 ``(n, 2)``.
        right: Positions in the right image, float32 ``(n, 2)``.
        features: Number of features of the left image.
        alike: How many of these have a feature in the right image that looks alike.
    """

    left: np.ndarray
    right: np.ndarray
    features: int
    alike: int


def check_rectified(left: np.ndarray, right: np.ndarray) -> None:
    """Judge a pair by the features that both images show.

    Of the matches, those count that one epipolar geometry explains (fundamental matrix, RANSAC).
    Where these are fewer than 20, less than half of all, or less than 30 % of the features that
    have a partner that looks alike, as with repetitive textures or in the dark, geometry is not
    judged, and the pair is accepted unless hardly any feature of the left image looks like one of
    the right image.

    Args:
        left: Left image, uint8 ``(H, W, 3)``.
        right: Right image, the same size.

    Raises:
        StereoPairError: If the left image is constant; if the images show different things; if
            corresponding points lie in different rows or have negative disparities, because the
            pair is not rectified; or if most disparities are negative, because left and right are
            exchanged.
    """
    gray = [_shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)) for image in (left, right)]
    if cv2.GaussianBlur(gray[0], (0, 0), 2).std() < FLAT_DEVIATION:
        raise StereoPairError(
            'the left image is (nearly) constant; there is nothing to match. Leave the pair out.'
        )
    matches = _matched(*gray)
    explained = _explained_by_one_geometry(matches)
    count, total = np.count_nonzero(explained), len(explained)
    if count >= max(FEWEST_MATCHES, total / 2, FEWEST_UNAMBIGUOUS * matches.alike):
        motion = (matches.right - matches.left)[explained]
        _check_rows(motion[:, 1], left.shape[1] / gray[0].shape[1])
        _check_sign(-motion[np.abs(motion[:, 1]) < ALIGNED, 0])
    elif matches.features >= FEWEST_FEATURES and matches.alike < FEWEST_ALIKE * matches.features:
        raise StereoPairError(
            f'not a pair: of {matches.features} features of the left image, only {matches.alike} '
            'look like one in the right image; the two do not show the same scene at the same '
            'time. Check that the files of both folders belong together by name.'
        )
    else:
        print_log(
            f'Pair accepted without a judgment of its geometry: of {matches.features} features, '
            f'{total} are matched and {count} agree.',
            logger='current',
            level=logging.DEBUG,
        )


def matching_convinces(left: np.ndarray, right: np.ndarray, disparity: np.ndarray) -> bool:
    """Whether what was matched leaves no doubt that the pair is rectified.

    It costs a fraction of :func:`check_rectified`, but knows no reasons. At least 60 % of the image
    has to be matched, and to fit vertically: one step of Lucas and Kanade (IJCAI 1981) along the
    columns is taken in 8x8 cells, of which the median counts, so that a rotation, too, is noticed.

    Args:
        left: Left image, uint8 ``(H, W, 3)``.
        right: Right image, the same size.
        disparity: What was matched, float32 ``(H, W)``, pixels; 0 = unknown.
    """
    if np.mean(disparity > 0) < CONVINCING_SHARE:
        return False
    gray = [
        cv2.GaussianBlur(_shrunk(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)), (0, 0), 1)
        for image in (left, right)
    ]
    left, right = (image.astype(np.float32) for image in gray)
    scale = disparity.shape[1] / left.shape[1]
    size = left.shape[::-1]
    disparity = cv2.resize(disparity, size, interpolation=cv2.INTER_NEAREST) / np.float32(scale)
    matched = disparity > 0
    right = warped(exposed_alike(left, right, disparity, matched), disparity)
    slope = cv2.filter2D(right, -1, np.array([[-0.5], [0], [0.5]], np.float32)) * matched
    along, across, share = (
        cv2.resize(values, RESIDUAL_CELLS, interpolation=cv2.INTER_AREA)
        for values in ((left - right) * slope, slope**2, matched.astype(np.float32))
    )
    residual = np.abs(along / (across + FLAT_SLOPE))[share >= LEAST_OF_CELL]
    return bool(np.median(residual) < CONVINCING_RESIDUAL)


def _shrunk(gray: np.ndarray) -> np.ndarray:
    scale = LARGEST_CHECKED_WIDTH / gray.shape[1]
    if scale >= 1:
        return gray
    return cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _matched(left: np.ndarray, right: np.ndarray) -> _Matches:
    """Mutual nearest neighbors that are clearly nearer than the second nearest (ratio test)."""
    sift = cv2.SIFT.create(FEATURES, contrastThreshold=CONTRAST_THRESHOLD)
    (features, descriptors), (others, other_descriptors) = (
        sift.detectAndCompute(image, None) for image in (left, right)
    )
    nothing = np.zeros((0, 2), np.float32)
    if len(features) == 0 or len(others) < 2:
        return _Matches(nothing, nothing, len(features), 0)
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    nearest = matcher.knnMatch(descriptors, other_descriptors, k=2)
    back = [match.trainIdx for match in matcher.match(other_descriptors, descriptors)]
    kept = [
        first
        for first, second in nearest
        if first.distance < DISTANCE_RATIO * second.distance
        and back[first.trainIdx] == first.queryIdx
    ]
    return _Matches(
        left=np.array([features[match.queryIdx].pt for match in kept], np.float32).reshape(-1, 2),
        right=np.array([others[match.trainIdx].pt for match in kept], np.float32).reshape(-1, 2),
        features=len(features),
        alike=sum(first.distance < ALIKE_DISTANCE for first, _ in nearest),
    )


def _explained_by_one_geometry(matches: _Matches) -> np.ndarray:
    """Which matches are inliers of a fundamental matrix, bool ``(n,)``."""
    nothing = np.zeros(len(matches.left), bool)
    if len(matches.left) < FEWEST_MATCHES:
        return nothing
    _, inliers = cv2.findFundamentalMat(
        matches.left, matches.right, cv2.FM_RANSAC, EPIPOLAR_DISTANCE, 0.99
    )
    return nothing if inliers is None else inliers.ravel() > 0


def _check_rows(offsets: np.ndarray, scale: float) -> None:
    """``offsets`` are of images that were shrunk by ``scale``."""
    offset = float(np.median(np.abs(offsets)))
    if offset > LARGEST_ROW_OFFSET:
        raise StereoPairError(
            f'corresponding points lie {scale * offset:.1f} pixels apart vertically (median): the '
            'pair is not rectified, or not taken at the same time. Rectify both images with the '
            'calibration of the cameras (cv2.stereoRectify) first.'
        )


def _check_sign(disparity: np.ndarray) -> None:
    behind = float(np.mean(disparity < BEHIND_INFINITY))
    if behind > 0.5:
        raise StereoPairError(
            f'{behind:.0%} of the points lie farther right in the right image than in the left '
            'one: left and right are exchanged. Exchange the two folders.'
        )
    if behind > 0.25:
        raise StereoPairError(
            f'{behind:.0%} of the points have a negative disparity, as if behind infinity: the '
            'images are cropped differently, or not rectified. Rectify them with the calibration '
            'of the cameras (cv2.stereoRectify with CALIB_ZERO_DISPARITY).'
        )
