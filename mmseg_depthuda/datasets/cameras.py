# Licensed under the Apache License 2.0, see LICENSE.
"""Cameras of frames, independent of the size at which the frames are stored."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from .file_integrity import read_intact


@dataclass(frozen=True)
class PinholeIntrinsics:
    """A pinhole camera without distortion, in shares of the image's width and height.

    Attributes:
        fx: Focal length / width.
        fy: Focal length / height.
        cx: Column of the principal point / width; 0.5 is the middle of the image.
        cy: Row of the principal point / height.

    Raises:
        ValueError: If the numbers are no such camera's: focal lengths outside of 0.1..10, or a
            principal point outside of the middle half of the image.
    """

    fx: float
    fy: float
    cx: float
    cy: float

    def __post_init__(self) -> None:
        values = asdict(self)
        if not all(math.isfinite(value) for value in values.values()):
            raise ValueError(f'intrinsics {values} are not finite.')
        if not (0.1 <= self.fx <= 10 and 0.1 <= self.fy <= 10):
            raise ValueError(
                f'intrinsics fx={self.fx:g}, fy={self.fy:g} are shares of the width and the height '
                'of the image and must be in 0.1..10. Divide pixels by the size of the images that '
                'the camera was calibrated with.'
            )
        if not (0.25 <= self.cx <= 0.75 and 0.25 <= self.cy <= 0.75):
            raise ValueError(
                f'intrinsics cx={self.cx:g}, cy={self.cy:g} place the principal point outside of '
                'the middle half of the image (0.5 is its middle). Was the camera calibrated with '
                'images of another size?'
            )

    @classmethod
    def from_pixels(
        cls, fx: float, fy: float, cx: float, cy: float, width: int, height: int
    ) -> PinholeIntrinsics:
        """From pixels of images of a size, whose pixel centres lie at integer coordinates."""
        if width < 1 or height < 1:
            raise ValueError(f'the size of the calibrated images is {width}x{height}.')
        return cls(fx / width, fy / height, (cx + 0.5) / width, (cy + 0.5) / height)

    def matrix(self, width: int, height: int) -> np.ndarray:
        """Camera matrix K for images of a size, float64 (3, 3), pixels."""
        return np.array(
            [
                [self.fx * width, 0.0, self.cx * width - 0.5],
                [0.0, self.fy * height, self.cy * height - 0.5],
                [0.0, 0.0, 1.0],
            ]
        )


def read_intrinsics(path: str) -> PinholeIntrinsics:
    """Read the camera of a folder of frames.

    Args:
        path: JSON file with the numbers ``fx, fy, cx, cy, width, height``, pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a number is missing or impossible.
    """
    data = read_intact(path, 'intrinsics')
    try:
        content = json.loads(data)
        numbers = [float(content[key]) for key in ('fx', 'fy', 'cx', 'cy', 'width', 'height')]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'intrinsics: {path} must be a JSON file with the numbers fx, fy, cx, cy, width and '
            f'height, in pixels, but: {error!r}.'
        ) from error
    return _checked(path, 'intrinsics', numbers)


def read_cityscapes_camera(
    path: str, width: int, height: int
) -> tuple[PinholeIntrinsics, float | None]:
    """Read a camera file of Cityscapes.

    Args:
        path: JSON file with ``intrinsic.fx, fy, u0, v0`` in pixels, and ``extrinsic.baseline`` in
            metres, which may be missing.
        width: Width of the images that it belongs to.
        height: Their height.

    Returns:
        The camera, and the baseline.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a number is missing or impossible.
    """
    data = read_intact(path, 'camera_path')
    try:
        content = json.loads(data)
        numbers = [float(content['intrinsic'][key]) for key in ('fx', 'fy', 'u0', 'v0')]
        baseline = content.get('extrinsic', {}).get('baseline')
        baseline = None if baseline is None else float(baseline)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'camera_path: {path} must be a JSON file with the numbers intrinsic.fx, fy, u0 and v0 '
            f'in pixels, but: {error!r}.'
        ) from error
    return _checked(path, 'camera_path', [*numbers, width, height]), baseline


def _checked(path: str, key: str, numbers: Sequence[float]) -> PinholeIntrinsics:
    try:
        return PinholeIntrinsics.from_pixels(*numbers)
    except ValueError as error:
        width, height = (round(number) for number in numbers[-2:])
        raise ValueError(f'{key}: {path}, for images of {width}x{height}: {error}') from error
