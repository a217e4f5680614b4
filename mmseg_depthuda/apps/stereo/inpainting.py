# Licensed under the Apache License 2.0, see LICENSE.
"""Filling the gaps of a disparity map where geometry and image say what is in them."""

from __future__ import annotations

import cv2
import numpy as np

GAP_OF_WIDTH = 1 / 32
SAME_SURFACE = 1.0  # pixels of disparity by which the two ends of a gap may differ
OCCLUSION_SLACK = 4  # pixels by which the matching window widens the shadow of the foreground
SURFACE_CONTRAST = 16  # gray values between a pixel and the nearer end
BACKGROUND_CONTRAST = 32  # gray values between a pixel and the background
EDGE_BLUR = 1.0  # pixels


def inpaint_disparity(
    disparity: np.ndarray, image: np.ndarray, max_gap: int | None = None
) -> np.ndarray:
    """Fill gaps along rows and columns, guided by the edges of the image.

    Two kinds of gap are filled:

    - *one surface*: both ends have the same disparity (up to a pixel), are at most ``max_gap``
      apart, and the image shows no strong edge between the pixel and the nearer end. Disparity is
      interpolated, along rows and columns; where both apply, along the shorter gap. It is linear
      in the image on a plane.
    - *occlusion*: in a row, the right end is nearer, and the gap is not wider than the step of
      disparity, which is the width of what the foreground hides from the right camera. It gets the
      disparity of the background, the left end, as far as the image shows no edge.

    Everything else stays unknown: the strip at the left that the right camera does not see, large
    surfaces without texture, the sky. A gap has two ends, so that nothing is extrapolated.

    Args:
        disparity: float32 ``(H, W)``, pixels; NaN where unknown. What is too far away to be
            measured should be in it, since it ends gaps as well.
        image: uint8 ``(H, W, 3)``.
        max_gap: Longest gap within a surface, pixels; by default a 32nd of the width.

    Returns:
        float32 ``(H, W)``. Known disparities are unchanged.

    Raises:
        ValueError: If the sizes differ.
    """
    if image.shape[:2] != disparity.shape:
        raise ValueError(f'The image is {image.shape}, but the disparity {disparity.shape}.')
    if max_gap is None:
        max_gap = round(GAP_OF_WIDTH * disparity.shape[1])
    smooth = cv2.GaussianBlur(image, (0, 0), EDGE_BLUR)
    in_row, row_gap = _fill_rows(disparity, smooth, max_gap, occlusions=True)
    in_column, column_gap = _fill_rows(
        cv2.transpose(disparity), cv2.transpose(smooth), max_gap, occlusions=False
    )
    by_column = row_gap > column_gap.T
    filled = np.where(by_column, in_column.T, in_row)
    return np.where(np.isnan(disparity), filled, disparity)


def _fill_rows(
    disparity: np.ndarray, image: np.ndarray, max_gap: int, occlusions: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Values for the gaps of every row, NaN where none is justified, and the gaps' lengths.

    Lengths are float32 ``(H, W)``, inf where there is no value.
    """
    width = disparity.shape[1]
    columns = np.arange(width, dtype=np.int32)
    known = ~np.isnan(disparity)
    left = np.maximum.accumulate(np.where(known, columns, np.int32(-1)), axis=1)
    from_right = np.where(known, columns, np.int32(width))[:, ::-1]
    right = np.minimum.accumulate(from_right, axis=1)[:, ::-1]
    bounded = ~known & (left >= 0) & (right < width)
    # Only pixels within gaps are looked at from here on.
    row, column = np.nonzero(bounded)
    left, right = left[bounded], right[bounded]
    start, stop = disparity[row, left], disparity[row, right]
    path = _contrast_along_rows(image)
    here = path[row, column]
    to_left, to_right = here - path[row, left], path[row, right] - here
    gap, step = right - left - 1, stop - start

    surface = (np.abs(step) <= SAME_SURFACE) & (gap <= max_gap)
    surface &= np.minimum(to_left, to_right) <= SURFACE_CONTRAST
    share = ((column - left) / (right - left)).astype(np.float32)
    values = np.where(surface, start + share * step, np.float32(np.nan))
    if occlusions:
        hidden = (step > SAME_SURFACE) & (gap <= step + OCCLUSION_SLACK)
        hidden &= to_left <= BACKGROUND_CONTRAST
        values = np.where(hidden, start, values)

    filled = np.full(disparity.shape, np.nan, np.float32)
    filled[bounded] = values
    length = np.full(disparity.shape, np.inf, np.float32)
    length[bounded] = np.where(np.isnan(values), np.inf, gap)
    return filled, length


def _contrast_along_rows(image: np.ndarray) -> np.ndarray:
    """Sum of the changes from the start of the row, int32 ``(H, W)``.

    The difference between two columns is what the image changes on the way, gray values of the
    channel that changes most.
    """
    left, right = image[:, :-1], image[:, 1:]
    change = np.maximum(left, right) - np.minimum(left, right)
    largest = np.maximum(np.maximum(change[..., 0], change[..., 1]), change[..., 2])
    path = np.zeros(image.shape[:2], np.int32)
    np.cumsum(largest, axis=1, out=path[:, 1:])
    return path
