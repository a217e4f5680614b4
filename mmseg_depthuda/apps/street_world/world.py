# Licensed under the Apache License 2.0, see LICENSE.
"""Views of the street world."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .appearance import DOMAINS, Appearance
from .camera import Camera
from .render import Raster, rasterize
from .scene import sample_scene
from .shapes import Dresser

FRAME_INTERVAL = 1 / 17  # seconds, as in the Cityscapes sequences


@dataclass(frozen=True)
class View:
    """What a camera of the street world records.

    Attributes:
        image: uint8 ``(H, W, 3)`` BGR.
        label_ids: uint8 ``(H, W)`` Cityscapes label ids.
        depth: float32 ``(H, W)`` exact meters along the optical axis, inf for the sky.
        camera: Where it was taken.
    """

    image: np.ndarray
    label_ids: np.ndarray
    depth: np.ndarray
    camera: Camera


class StreetScene:
    """One scene of the street world; everything in it follows from ``(seed, domain, index)``.

    Args:
        seed: Seed of the world, not negative.
        domain: ``'sim'`` or ``'real'``.
        index: Number of the scene, not negative.
        size: ``(width, height)`` of the images.

    Raises:
        KeyError: If the domain does not exist.
    """

    def __init__(self, seed: int, domain: str, index: int, size: tuple[int, int]) -> None:
        constants = DOMAINS[domain]
        self._key = seed, constants.seed_key, index
        layout = sample_scene(self.rng(0))
        self._appearance = Appearance(constants, self.rng(1))
        self.ego_speed = layout.ego_speed
        look = self._appearance
        self.pitch, self.yaw = look.pitch, look.yaw
        self._start = Camera.looking_ahead(
            size,
            constants.focal,
            constants.baseline,
            (0, -look.camera_height, 0),
            look.pitch,
            look.yaw,
        )
        self._surfaces = Dresser(look, self._start).dress(layout, self.rng(2))

    def rng(self, *stream: int) -> np.random.Generator:
        """The generator of one of the scene's random streams."""
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence((*self._key, *stream))))

    def camera(self, frame: int = 0, right: bool = False) -> Camera:
        """The left or right camera at a frame of the drive; frame 0 is the labeled one."""
        camera = self._start.moved(frame * self.ego_speed * FRAME_INTERVAL)
        return camera.right() if right else camera

    def rasterize(self, frame: int = 0, right: bool = False) -> Raster:
        """What lies before the camera, without air, lens and sensor."""
        return rasterize(self._surfaces, self.camera(frame, right), frame * FRAME_INTERVAL)

    def view(self, frame: int = 0, right: bool = False) -> View:
        """What the camera records."""
        raster = self.rasterize(frame, right)
        image = self._appearance.develop(
            raster.color, raster.depth, self.rng(3, frame + 1000, right)
        )
        return View(image, raster.label_ids, raster.depth, self.camera(frame, right))
