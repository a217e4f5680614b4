# Licensed under the Apache License 2.0, see LICENSE.
"""A contact sheet of the street world."""

from __future__ import annotations

import cv2
import numpy as np

from .layouts import Record, label_palette
from .world import StreetScene

COLUMNS = 6
NEAREST = 4.0  # meters; shown brightest


def contact_sheet(seed: int, size: tuple[int, int], tile_width: int = 256) -> np.ndarray:
    """Six scenes of ``sim`` above six of ``real``, each as image, labels and depth.

    The depth of ``real`` is the imperfect one that its training images come with; black is missing.

    Args:
        seed: Seed of the world.
        size: ``(width, height)`` at which the scenes are rendered.
        tile_width: Width of one image on the sheet, pixels.

    Returns:
        uint8 BGR ``(H, W, 3)``.
    """
    scenes = [
        StreetScene(seed, domain, i, size) for domain in ('sim', 'real') for i in range(COLUMNS)
    ]
    tiles = [_tile(Record(scene), tile_width, i >= COLUMNS) for i, scene in enumerate(scenes)]
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    return np.vstack(rows)


def _tile(record: Record, width: int, is_real: bool) -> np.ndarray:
    view = record.left
    if is_real:
        disparity, camera = record.stereo
        inverse = disparity / camera.focal_baseline
    else:
        inverse = 1 / view.depth
    gray = (255 * np.sqrt(np.clip(NEAREST * inverse, 0, 1))).astype(np.uint8)
    depth = cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO)
    labels = label_palette()[view.label_ids][..., ::-1]
    size = width, round(width * view.camera.height / view.camera.width)
    tiles = (
        cv2.resize(view.image, size, interpolation=cv2.INTER_AREA),
        cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST),
        cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST),
    )
    return cv2.copyMakeBorder(np.vstack(tiles), 0, 4, 0, 4, cv2.BORDER_CONSTANT, value=(255,) * 3)
