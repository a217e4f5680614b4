# Licensed under the Apache License 2.0, see LICENSE.
"""Cameras of frames, independent of the size at which the frames are stored."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .file_integrity import read_intact

BASELINES = (0.005, 20.0)  # meters
MAX_RATIO_ERROR = 0.02  # of width / height, which rounding and a few cut pixels change
CITYSCAPES_NUMBERS = dict(
    fx='intrinsic.fx (pixels)',
    fy='intrinsic.fy (pixels)',
    u0='intrinsic.u0 (pixels)',
    v0='intrinsic.v0 (pixels)',
    baseline='extrinsic.baseline (meters)',
)


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
        if min(self.cx, self.cy) > 0.6 or max(self.cx, self.cy) < 0.4:
            raise ValueError(
                f'intrinsics cx={self.cx:g}, cy={self.cy:g} place the principal point off the '
                'middle of the image (0.5) in the same direction by more than a tenth, as those of '
                'images of another size do. Divide pixels by the size of the images that the '
                'camera was calibrated with.'
            )

    @classmethod
    def from_pixels(
        cls, fx: float, fy: float, cx: float, cy: float, width: float, height: float
    ) -> PinholeIntrinsics:
        """From pixels of images of a size, whose pixel centers lie at integer coordinates."""
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


def read_intrinsics(path: str) -> tuple[PinholeIntrinsics, tuple[int, int]]:
    """Read the camera of a folder of frames.

    Args:
        path: JSON file with the numbers ``fx, fy, cx, cy, width, height``, pixels.

    Returns:
        The camera, and the width and height of the images that it was calibrated with.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a number is missing or impossible.
    """
    data = read_intact(path, 'intrinsics')
    try:
        content = json.loads(data)
        fx, fy, cx, cy = (float(content[key]) for key in ('fx', 'fy', 'cx', 'cy'))
        width, height = float(content['width']), float(content['height'])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'intrinsics: {path} must be a JSON file with the numbers fx, fy, cx, cy, width and '
            f'height, in pixels, but: {error!r}.'
        ) from error
    camera = _checked(f'intrinsics: {path}', (fx, fy, cx, cy), width, height)
    return camera, (round(width), round(height))


def check_calibrated_size(
    name: str, calibrated: Sequence[int], width: int, height: int, image: str
) -> None:
    """Refuse a camera that was calibrated with images of another shape.

    Args:
        name: The camera, for the message.
        calibrated: Width and height of the images that it was calibrated with.
        width: Width of an image that it is used for.
        height: Its height.
        image: Its file, for the message.

    Raises:
        ValueError: The ratios of width and height differ by more than 2 %.
    """
    ratio = (width / height) / (calibrated[0] / calibrated[1])
    if not 1 / (1 + MAX_RATIO_ERROR) <= ratio <= 1 + MAX_RATIO_ERROR:
        raise ValueError(
            f'{name} was calibrated with images of {calibrated[0]}x{calibrated[1]}, but {image} is '
            f'{width}x{height}, another shape: was it cropped, or squeezed? Write the camera of '
            'these images: subtract the pixels cut off at the left and at the top from cx and cy, '
            'scale fx and cx with the width, fy and cy with the height, and set width and height '
            f'(calibrated_size of a dataset with camera files) to {width} and {height}.'
        )


@dataclass(frozen=True)
class CityscapesCamera:
    """What a camera file of Cityscapes says; ``None`` where it says nothing.

    Attributes:
        name: Key and file, for messages.
        fx: Focal length in pixels of the images that it belongs to.
        fy: Likewise, vertically.
        u0: Column of the principal point in such pixels.
        v0: Its row.
        baseline: Distance of the two cameras in meters.
    """

    name: str
    fx: float
    fy: float | None = None
    u0: float | None = None
    v0: float | None = None
    baseline: float | None = None

    def intrinsics(self, width: int, height: int) -> PinholeIntrinsics:
        """The camera without its baseline.

        Args:
            width: Width of the images that it belongs to.
            height: Their height.

        Raises:
            ValueError: If a number is missing, or it cannot have taken images of that size.
        """
        pixels = (self.fx, self.number('fy'), self.number('u0'), self.number('v0'))
        return _checked(self.name, pixels, width, height)

    def number(self, key: str) -> float:
        """A number that is needed.

        Args:
            key: ``'fx'``, ``'fy'``, ``'u0'``, ``'v0'`` or ``'baseline'``.

        Raises:
            ValueError: If the file does not say it.
        """
        value = getattr(self, key)
        if value is None:
            raise ValueError(f'{self.name} lacks the number {CITYSCAPES_NUMBERS[key]}. Add it.')
        return value


def read_cityscapes_camera(
    path: str | Path, key: str, needs: Sequence[str] = ('fx', 'baseline')
) -> CityscapesCamera:
    """Read a camera file of Cityscapes.

    Args:
        path: JSON file with ``intrinsic.fx, fy, u0, v0`` in pixels and ``extrinsic.baseline`` in
            meters.
        key: Where the path came from (``'camera_path'``, ...), for messages.
        needs: Numbers that must be there and possible.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a number is missing or impossible.
    """
    name = f'{key}: {path}'
    data = read_intact(path, key)
    try:
        content = json.loads(data)
        found = {**content.get('extrinsic', {}), **content['intrinsic']}
        camera = CityscapesCamera(
            name,
            **{
                number: float(found[number])
                for number in CITYSCAPES_NUMBERS
                if number in needs or found.get(number) is not None
            },
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        numbers = ', '.join(CITYSCAPES_NUMBERS[number] for number in needs)
        raise ValueError(
            f'{name} must be a JSON file with the numbers {numbers}, but: {error!r}.'
        ) from error
    check_focal_length(camera.fx, name)
    if 'baseline' in needs:
        check_baseline(camera.number('baseline'), name)
    return camera


def check_focal_length(fx: float, name: str) -> None:
    """Raise a ``ValueError`` unless a focal length is positive and finite."""
    if not (math.isfinite(fx) and fx > 0):
        raise ValueError(f'{name}: fx is {fx}, but must be positive, in pixels.')


def check_baseline(baseline: float, name: str) -> None:
    """Raise a ``ValueError`` unless a baseline is that of a stereo rig in meters."""
    low, high = BASELINES
    if not low <= baseline <= high:
        raise ValueError(
            f'{name}: the baseline is {baseline}, but must be between {low} and {high} meters. Is '
            'it given in another unit?'
        )


def _checked(
    name: str, pixels: tuple[float, float, float, float], width: float, height: float
) -> PinholeIntrinsics:
    try:
        return PinholeIntrinsics.from_pixels(*pixels, width, height)
    except ValueError as error:
        size = f'{round(width)}x{round(height)}'
        raise ValueError(f'{name}, for images of {size}: {error}') from error
