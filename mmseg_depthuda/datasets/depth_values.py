# Licensed under the Apache License 2.0, see LICENSE.
"""Whether depth can be that of its scene: files in another unit, and files without any depth.

Centimeters or millimeters that are taken for meters train without an error. They show in the median
depth, which is about 5 to 40 m in pictures of streets. One image may be unusual: a single file is
refused only for an extreme median. The median of a sample of files is checked more strictly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from mmseg_depthuda.adaptation.depth import valid_depth

from .depth_encodings import MAX_METRES, MIN_METRES, metres_of_inverse_depth

STREET_METRES = (2.0, 100.0)
"""Range in which the median depth of a set of street scenes must lie, in meters."""
FILE_MARGIN = (4.0, 3.0)
"""The median of one file may be nearer and farther than the range of the set by these factors."""
SAMPLED_FILES = 4
SAMPLED_PIXELS = 16384


def check_expected_metres(expected: Sequence[float] | None) -> tuple[float, float] | None:
    """The range as a tuple; a ``ValueError`` unless it is two numbers, 0 < low < high, or None."""
    if expected is None:
        return None
    if len(expected) != 2 or not 0 < expected[0] < expected[1] < math.inf:
        raise ValueError(
            f'expected_metres={expected!r} must be (low, high) in meters, such as (0.3, 10) for '
            'rooms, or None for no check.'
        )
    return float(expected[0]), float(expected[1])


def median_metres(inverse_depth: np.ndarray) -> float | None:
    """Median depth of a map.

    Args:
        inverse_depth: In either encoding, float32, (H, W), ``INVALID_DEPTH`` where there is none.

    Returns:
        Meters, of about 16000 pixels spread over the map; None where no pixel has a depth nearer
        than 655.35 m, the end of the encodings.
    """
    step = max(1, int(math.sqrt(inverse_depth.size / SAMPLED_PIXELS)))
    for values in (inverse_depth[::step, ::step], inverse_depth):  # sparse depth needs all pixels
        metres = metres_of_inverse_depth(values[valid_depth(values)])
        metres = metres[metres < MAX_METRES - 0.01]
        if metres.size:
            return float(np.median(metres))
    return None


def check_file(
    inverse_depth: np.ndarray,
    info: Mapping,
    expected: tuple[float, float] | None,
    stored: Callable[[], np.ndarray | None],
) -> float | None:
    """Refuse a depth file without depth, or with a median far outside of the expected range.

    Args:
        inverse_depth: What was read from it, float32, (H, W).
        info: Its ``depth_map_path`` and ``depth_file``.
        expected: Range of the median of the set in meters, or None to accept any.
        stored: Gives the numbers of the file as meters, or None where they are none. Called for the
            message about a file without valid pixel alone.

    Returns:
        Median depth in meters; None if the file is of unknown scale or all is as far as infinite.

    Raises:
        ValueError: No pixel is valid, or the median is beyond the range by :data:`FILE_MARGIN`.
    """
    if not valid_depth(inverse_depth).any():
        raise ValueError(_no_valid_pixel(info, stored()))
    if info['depth_file'] == 'png_disparity':
        return None
    median = median_metres(inverse_depth)
    if median is not None and expected is not None:
        low, high = expected[0] / FILE_MARGIN[0], expected[1] * FILE_MARGIN[1]
        if not low <= median <= high:
            raise ValueError(
                f'depth_map_path: the median depth of {info["depth_map_path"]} is {median:.3g} m, '
                f'expected are {low:g} to {high:g} m. {_remedy(info["depth_file"])}'
            )
    return median


def check_sample(
    medians: Mapping[str, float], depth_file: str, expected: tuple[float, float] | None
) -> None:
    """Refuse files whose medians, all together, are in another unit.

    Args:
        medians: Path of a depth file -> its median in meters.
        depth_file: Kind of the files.
        expected: Range of the median of the set in meters, or None to accept any.

    Raises:
        ValueError: The median of the medians lies outside of the range.
    """
    if expected is None or not medians:
        return
    median = float(np.median(list(medians.values())))
    if not expected[0] <= median <= expected[1]:
        raise ValueError(
            f'depth_map_path: the median depth of {len(medians)} files, such as '
            f'{next(iter(medians))}, is {median:.3g} m, expected are {expected[0]:g} to '
            f'{expected[1]:g} m. {_remedy(depth_file)}'
        )


def _no_valid_pixel(info: Mapping, stored: np.ndarray | None) -> str:
    message = f'depth_map_path: {info["depth_map_path"]} has no valid pixel'
    numbers = () if stored is None else stored[np.isfinite(stored) & (stored > 0)]
    if not len(numbers):
        return f'{message}. Restore it, or leave the image out by ann_file.'
    median = float(np.median(numbers))
    return (
        f'{message}: the median of its depth is {median:.3g} m, expected are {MIN_METRES} to '
        f'{MAX_METRES} m. {_remedy(info["depth_file"])}'
    )


def _remedy(depth_file: str) -> str:
    unit = {
        'png_centimetres': 'Does the file hold centimeters? Convert millimeters or meters to '
        "centimeters, or set depth_file to what it holds ('png_disparity' if it has no unit).",
        'mat_metres': 'Does the file hold meters? Divide centimeters by 100 and millimeters by '
        '1000, and save them again.',
    }.get(depth_file, 'Do the camera files belong to these images, with the baseline in meters?')
    return (
        f'{unit} For scenes that are no streets, set LoadInverseDepth(expected_metres=(low, high)).'
    )
