# Licensed under the Apache License 2.0, see LICENSE.
"""Stereo cameras, which turn disparity into meters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmseg_depthuda.datasets.cameras import (
    check_baseline,
    check_focal_length,
    read_cityscapes_camera,
)

from .rectification import StereoPairError

FOCAL_OF_WIDTH = (0.2, 10.0)  # fields of view from 136 to 6 degrees


@dataclass(frozen=True)
class StereoCamera:
    """A rectified stereo rig.

    Attributes:
        fx: Focal length in pixels.
        baseline: Distance of the two cameras in meters.
        u0: Column of the principal point, if known.
        name: Where the numbers come from, for messages.
        v0: Row of the principal point, if known.
    """

    fx: float
    baseline: float
    u0: float | None = None
    name: str = '--fx and --baseline'
    v0: float | None = None

    def __post_init__(self) -> None:
        check_focal_length(self.fx, self.name)
        check_baseline(self.baseline, self.name)

    @property
    def focal_baseline(self) -> float:
        """``fx * baseline``: depth in meters times disparity in pixels."""
        return self.fx * self.baseline

    def check_fits(self, width: int, height: int) -> None:
        """Compare with the size of the images.

        A principal point that is off the middle to the right and below, or to the left and above,
        by more than a tenth is that of images of another size.

        Args:
            width: Pixels.
            height: Pixels.

        Raises:
            StereoPairError: If the camera cannot have taken images of that size, for example
                because they were resized.
        """
        low, high = (share * width for share in FOCAL_OF_WIDTH)
        off_center = self.u0 is not None and not 0.25 * width <= self.u0 <= 0.75 * width
        if self.u0 is not None and self.v0 is not None:
            places = self.u0 / width, self.v0 / height
            off_center |= min(places) > 0.6 or max(places) < 0.4
        if not low <= self.fx <= high or off_center:
            center = '' if self.u0 is None else f' and u0 {self.u0:g}'
            raise StereoPairError(
                f'{self.name}: fx {self.fx:g}{center} do not belong to images of {width}x{height} '
                'pixels. A camera of the original images must be scaled with them: multiply fx '
                '(and u0) by new width / original width, v0 by new height / original height.'
            )


def read_camera(path: str | Path) -> StereoCamera:
    """Read a camera file of Cityscapes.

    Args:
        path: JSON file with ``extrinsic.baseline`` (meters), ``intrinsic.fx`` (pixels) and
            optionally ``intrinsic.u0``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a number is missing or impossible.
    """
    camera = read_cityscapes_camera(path, 'camera')
    return StereoCamera(camera.fx, camera.number('baseline'), camera.u0, camera.name, camera.v0)
