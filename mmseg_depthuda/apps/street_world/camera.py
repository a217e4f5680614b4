# Licensed under the Apache License 2.0, see LICENSE.
"""Pinhole cameras of the street world.

World and camera axes follow OpenCV: x right, y down, z forward. The ground is the plane y = 0, so
everything standing on it has negative y. Pixel ``(u, v)`` has its center at the integer
coordinates ``u`` (column), ``v`` (row).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera of a stereo rig with square image axes.

    Attributes:
        width, height: Image size in pixels.
        fx, fy: Focal lengths in pixels.
        u0, v0: Principal point in pixels.
        baseline: Distance of the right camera from the left one, in meters.
        rotation: World-to-camera rotation, float64 ``(3, 3)``; its rows are the camera's axes in
            the world.
        position: Optical center in the world, float64 ``(3,)``, meters.
    """

    width: int
    height: int
    fx: float
    fy: float
    u0: float
    v0: float
    baseline: float
    rotation: np.ndarray
    position: np.ndarray

    @classmethod
    def looking_ahead(
        cls,
        size: tuple[int, int],
        focal: float,
        baseline: float,
        position: tuple[float, float, float],
        pitch: float,
        yaw: float,
    ) -> Camera:
        """A camera looking along the street.

        Args:
            size: ``(width, height)`` in pixels.
            focal: Focal length divided by the image width.
            baseline: Stereo baseline in meters.
            position: Optical center in the world, meters.
            pitch: Angle below the horizon, radians.
            yaw: Angle to the right of the street's direction, radians.
        """
        width, height = size
        sin_p, cos_p, sin_y, cos_y = np.sin(pitch), np.cos(pitch), np.sin(yaw), np.cos(yaw)
        rotation = np.array(
            [
                [cos_y, 0.0, -sin_y],
                [-sin_p * sin_y, cos_p, -sin_p * cos_y],
                [cos_p * sin_y, sin_p, cos_p * cos_y],
            ]
        )
        return cls(
            width=width,
            height=height,
            fx=focal * width,
            fy=focal * width,
            u0=(width - 1) / 2,
            v0=(height - 1) / 2,
            baseline=baseline,
            rotation=rotation,
            position=np.asarray(position, dtype=np.float64),
        )

    @property
    def matrix(self) -> np.ndarray:
        """Intrinsic matrix K, float64 ``(3, 3)``."""
        return np.array([[self.fx, 0.0, self.u0], [0.0, self.fy, self.v0], [0.0, 0.0, 1.0]])

    @property
    def pose(self) -> np.ndarray:
        """World-to-camera transform, float64 ``(4, 4)``."""
        pose = np.eye(4)
        pose[:3, :3] = self.rotation
        pose[:3, 3] = -self.rotation @ self.position
        return pose

    def right(self) -> Camera:
        """The right camera of the rectified stereo pair."""
        return replace(self, position=self.position + self.baseline * self.rotation[0])

    def moved(self, metres: float) -> Camera:
        """The camera after driving ``metres`` along the street (world z)."""
        return replace(self, position=self.position + np.array([0.0, 0.0, metres]))

    def to_camera(self, points: np.ndarray) -> np.ndarray:
        """World points ``(..., 3)`` in camera coordinates ``(..., 3)``, meters."""
        return (points - self.position) @ self.rotation.T

    def project(self, points: np.ndarray) -> np.ndarray:
        """Pixel coordinates ``(..., 2)`` of world points ``(..., 3)`` in front of the camera."""
        x, y, z = np.moveaxis(self.to_camera(points), -1, 0)
        return np.stack([self.fx * x / z + self.u0, self.fy * y / z + self.v0], axis=-1)

    def back_project(self, depth: np.ndarray) -> np.ndarray:
        """World points ``(H, W, 3)`` of a depth map ``(H, W)``, meters along the optical axis."""
        v, u = np.indices(depth.shape, dtype=np.float64)
        points = np.stack(
            [(u - self.u0) / self.fx * depth, (v - self.v0) / self.fy * depth, depth], axis=-1
        )
        return points @ self.rotation + self.position
