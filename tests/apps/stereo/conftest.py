# Licensed under the Apache License 2.0, see LICENSE.
"""Stereo pairs whose disparity is known: images with a spectrum, moved exactly."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.street_world import StreetScene


def waves(height: int, columns: np.ndarray, seed: int) -> np.ndarray:
    """A color texture, evaluated at any real column; uint8 ``(height, W, 3)``.

    A sum of plane waves, of wavelengths from 5 to 40 pixels.

    Args:
        height: Rows.
        columns: ``(W,)`` or ``(height, W)``.
        seed: Draws the waves.
    """
    rng = np.random.default_rng(seed)
    rows = np.arange(height)[:, None]
    columns = np.broadcast_to(columns, (height, np.shape(columns)[-1]))
    image = np.zeros((*columns.shape, 3))
    for _ in range(40):
        length, angle = 5 * 8 ** rng.random(), rng.uniform(-np.pi, np.pi)
        phase = 2 * np.pi / length * (np.cos(angle) * columns + np.sin(angle) * rows)
        amplitude = rng.uniform(2, 12, 3)
        image += amplitude * np.sin(phase[..., None] + rng.uniform(0, 2 * np.pi, 3))
    return (image + 128).clip(0, 255).round().astype(np.uint8)


def plane_pair(disparity: float, slope: float = 0.0, size=(96, 192), seed: int = 0):
    """A textured plane: disparity ``disparity + slope * v`` in row v.

    A point in column u of the right image is in column u + d of the left one.
    """
    height, width = size
    columns, rows = np.arange(width), np.arange(height)[:, None]
    d = disparity + slope * rows
    truth = np.broadcast_to(d, size).astype(np.float32)
    return waves(height, columns, seed), waves(height, columns + d, seed), truth


def box_pair(background: int, foreground: int, size=(96, 192), noise: float = 0.0):
    """A textured box before a textured wall, both at whole disparities.

    Returns left, right, exact disparity, and where the right camera sees the left pixel.
    """
    height, width = size
    columns = np.arange(width)
    box = np.zeros(size, bool)
    box[height // 4 : 3 * height // 4, width // 2 : 3 * width // 4] = True
    left = np.where(box[..., None], waves(height, columns, 1), waves(height, columns, 2))
    right = waves(height, columns + background, 2)
    moved = np.zeros(size, bool)
    moved[:, : width - foreground] = box[:, foreground:]
    right = np.where(moved[..., None], waves(height, columns + foreground, 1), right)
    truth = np.where(box, foreground, background).astype(np.float32)
    target = np.broadcast_to(columns, size) - truth.astype(int)
    visible = target >= 0
    covered = np.take_along_axis(moved, target.clip(0), axis=1)
    visible &= box | ~covered
    if noise:
        rng = np.random.default_rng(3)
        left, right = (
            (i + rng.normal(0, noise, i.shape)).clip(0, 255).astype(np.uint8) for i in (left, right)
        )
    return left, right, truth, visible


def write_image(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


FX, BASELINE = 200.0, 0.25  # fx * baseline = 50


def camera_json(fx=FX, baseline=BASELINE, u0=95.5) -> str:
    return json.dumps(
        {'extrinsic': {'baseline': baseline}, 'intrinsic': {'fx': fx, 'fy': fx, 'u0': u0}}
    )


def write_cityscapes(root: Path, stem: str, left, right, camera: str | None = None) -> None:
    """``stem`` is SPLIT/CITY/NAME."""
    write_image(root / f'leftImg8bit/{stem}_leftImg8bit.png', left)
    write_image(root / f'rightImg8bit/{stem}_rightImg8bit.png', right)
    path = root / f'camera/{stem}_camera.json'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(camera or camera_json())


@pytest.fixture(scope='session')
def plane():
    """Left, right, disparity of a slanted plane, disparities 3 to 12.5."""
    return plane_pair(3.0, 0.1)


@pytest.fixture(scope='session')
def street_pair():
    """Left and right image of a street, 256x128."""
    scene = StreetScene(seed=0, domain='real', index=5, size=(256, 128))
    return scene.view().image, scene.view(right=True).image
