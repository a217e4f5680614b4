# Licensed under the Apache License 2.0, see LICENSE.
"""The chosen images side by side, numbered in the order of their choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import Compose

from mmseg_depthuda.datasets.transforms import LoadImageFromFile
from mmseg_depthuda.fileio.processes import map_in_processes

TILE = (160, 80)  # width, height
BORDER = 2


def contact_sheet(paths: Sequence[str | Path], workers: int = 1) -> np.ndarray:
    """Draw small images in rows, each with its number.

    Args:
        paths: Image files, in the order of their choice.
        workers: Processes that read them.

    Returns:
        uint8, BGR, (H, W, 3), about as wide as high. Images keep their aspect ratio.

    Raises:
        FileNotFoundError, ValueError: An image cannot be read.
    """
    columns = math.ceil(math.sqrt(len(paths) * TILE[1] / TILE[0]))
    numbered = list(enumerate(map(str, paths), 1))
    tiles = list(map_in_processes(_tile, numbered, max(1, workers), 'contact sheet'))
    empty = np.full_like(tiles[0], 255)
    tiles += [empty] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)])


def _tile(numbered: tuple[int, str]) -> np.ndarray:
    number, path = numbered
    image = Compose([LoadImageFromFile()])(dict(img_path=path))['img']
    factor = min(TILE[0] / image.shape[1], TILE[1] / image.shape[0])
    size = tuple(max(1, round(side * factor)) for side in image.shape[1::-1])
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    tile = np.full((TILE[1], TILE[0], 3), 255, np.uint8)
    tile[: size[1], : size[0]] = image
    for color, thickness in ((0,) * 3, 3), ((255,) * 3, 1):
        cv2.putText(
            tile,
            str(number),
            (4, 14),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.45,
            color,
            thickness,
            cv2.LINE_AA,
        )
    return cv2.copyMakeBorder(tile, 0, BORDER, 0, BORDER, cv2.BORDER_CONSTANT, value=(255,) * 3)
