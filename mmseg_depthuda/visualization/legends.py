# Licensed under the Apache License 2.0, see LICENSE.
"""Predictions as pictures that explain themselves: classes with a legend, maps with a color bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .panels import DEPTH_COLORS, color_labels, color_values, upper_end

OPACITY = 0.5
INK, PAPER = (30, 30, 30), (255, 255, 255)
SMALLEST_HEIGHT = 384
"""Smaller pictures are enlarged, so that a legend has room beside them."""
ROUND_METERS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def label_picture(
    image: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
) -> np.ndarray:
    """Classes over an image, and their colors and names beside it.

    Args:
        image (np.ndarray): RGB, uint8, (H, W, 3).
        labels (np.ndarray): Class indices, integer, (H, W). Pixels without a class stay as they
            are.
        classes (Sequence[str]): Names.
        palette (Sequence[Sequence[int]]): RGB of each class, 0..255.

    Returns:
        np.ndarray: RGB, uint8, at least :data:`SMALLEST_HEIGHT` high.
    """
    colors = color_labels(labels, np.asarray(palette, np.uint8))
    blended = cv2.addWeighted(image, 1 - OPACITY, colors, OPACITY, 0)
    picture = _enlarged(np.where((labels < len(palette))[..., None], blended, image))
    return np.concatenate([picture, _class_legend(picture.shape[0], classes, palette)], axis=1)


def depth_picture(inverse_depth: np.ndarray, meters: np.ndarray | None = None) -> np.ndarray:
    """Depth, bright is near, and a color bar.

    Args:
        inverse_depth (np.ndarray): Larger is nearer, float, (H, W); 0 or less is no depth.
        meters (np.ndarray, optional): The same depth in meters, float, (H, W). Defaults to None:
            the unit is unknown, and the bar says "relative".

    Returns:
        np.ndarray: RGB, uint8, at least :data:`SMALLEST_HEIGHT` high.
    """
    largest = upper_end(inverse_depth)
    picture = _enlarged(color_values(inverse_depth, DEPTH_COLORS, largest))
    if meters is None:
        marks, title = {1.0: 'near', 0.0: 'far'}, 'depth, relative'
    else:
        marks, title = meter_marks(inverse_depth, meters, largest), 'depth in meters'
    return np.concatenate(
        [picture, _color_bar(picture.shape[0], DEPTH_COLORS, title, marks)], axis=1
    )


def confidence_picture(confidence: np.ndarray) -> np.ndarray:
    """Confidence, bright is high, and a color bar from 0 to 1.

    Args:
        confidence (np.ndarray): Float, 0..1, (H, W).

    Returns:
        np.ndarray: RGB, uint8, at least :data:`SMALLEST_HEIGHT` high.
    """
    picture = _enlarged(color_values(confidence, 'viridis', 1.0))
    marks = {share: f'{share:g}' for share in (0.0, 0.25, 0.5, 0.75, 1.0)}
    bar = _color_bar(picture.shape[0], 'viridis', 'confidence', marks)
    return np.concatenate([picture, bar], axis=1)


def titled_strip(
    panels: Mapping[str, np.ndarray],
    classes: Sequence[str] | None = None,
    palette: Sequence[Sequence[int]] = (),
    smallest_height: int = 256,
) -> np.ndarray:
    """Pictures side by side under their titles, and the colors of the classes after them.

    Args:
        panels (Mapping[str, np.ndarray]): Pictures by their titles, RGB, uint8, (H, W, 3) each.
        classes (Sequence[str], optional): Names. Defaults to None: no legend.
        palette (Sequence[Sequence[int]]): RGB of each class, 0..255.
        smallest_height (int): Lower pictures are enlarged by a whole factor. Defaults to 256.

    Returns:
        np.ndarray: RGB, uint8. The pictures are at the bottom.
    """
    pictures = [_enlarged(panel, smallest_height) for panel in panels.values()]
    height, width = pictures[0].shape[:2]
    size = int(np.clip(height // 16, 8, 28))
    titles = Image.new('RGB', (width * len(pictures), round(1.5 * size)), PAPER)
    draw = ImageDraw.Draw(titles)
    for index, title in enumerate(panels):
        longest = width / max(_font(size).getlength(title), 1)
        font = _font(max(int(size * min(longest, 1)), 6))
        place = (round((index + 0.5) * width), titles.height // 2)
        draw.text(place, title, INK, font, anchor='mm')
    strip = np.concatenate([np.asarray(titles), np.concatenate(pictures, axis=1)])
    if classes is None:
        return strip
    return np.concatenate([strip, _class_legend(len(strip), classes, palette)], axis=1)


def meter_marks(inverse_depth: np.ndarray, meters: np.ndarray, largest: float) -> dict[float, str]:
    """Round meters by their place on the bar, 0 (bottom) to 1, at least 6% apart."""
    known = inverse_depth > 0
    order = np.argsort(meters[known])
    if not order.size:
        return {}
    depths, inverse = meters[known][order], inverse_depth[known][order]
    marks: dict[float, str] = {}
    for depth in ROUND_METERS:
        if depths[0] <= depth <= depths[-1]:
            place = float(np.interp(depth, depths, inverse)) / largest
            if place <= 1 and all(abs(place - other) >= 0.06 for other in marks):
                marks[place] = f'{depth}'
    return marks


def _enlarged(picture: np.ndarray, smallest_height: int = SMALLEST_HEIGHT) -> np.ndarray:
    factor = -(-smallest_height // picture.shape[0])
    return picture.repeat(factor, axis=0).repeat(factor, axis=1) if factor > 1 else picture


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's, which has most alphabets."""
    return ImageFont.truetype(
        str(Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')), size
    )


def _class_legend(
    height: int, classes: Sequence[str], palette: Sequence[Sequence[int]]
) -> np.ndarray:
    """Swatches with names, in as many columns as are needed, (height, any width, 3)."""
    size = int(np.clip(min(height // 28, height / (1.5 * len(classes) + 1)), 12, 28))
    row = round(1.5 * size)
    rows = max((height - size) // row, 1)
    font = _font(size)
    width = round(3.5 * size + max(font.getlength(name) for name in classes))
    columns = -(-len(classes) // rows)
    sheet = Image.new('RGB', (columns * width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (name, color) in enumerate(zip(classes, palette, strict=True)):
        x = size + index // rows * width
        y = size // 2 + index % rows * row
        draw.rectangle((x, y, x + 1.5 * size, y + size), fill=tuple(color), outline=INK)
        draw.text((x + 2 * size, y + size / 2), name, INK, font, anchor='lm')
    return np.asarray(sheet)


def _color_bar(height: int, colors: str, title: str, marks: dict[float, str]) -> np.ndarray:
    """A vertical bar from 0 (bottom) to 1 with marks, (height, any width, 3)."""
    size = int(np.clip(height // 28, 12, 28))
    font = _font(size)
    top, bottom = 3 * size, height - 2 * size
    width = round(2 * size + max(font.getlength(title), 6 * size))
    sheet = Image.new('RGB', (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((size, size / 2), title, INK, font)
    ramp = color_values(np.linspace(1, 0, bottom - top)[:, None].repeat(2 * size, 1), colors, 1.0)
    sheet.paste(Image.fromarray(ramp), (size, top))
    draw.rectangle((size, top, 3 * size, bottom), outline=INK)
    for place, text in marks.items():
        y = bottom - place * (bottom - top)
        draw.line((3 * size, y, round(3.4 * size), y), fill=INK)
        draw.text((round(3.8 * size), y), text, INK, font, anchor='lm')
    return np.asarray(sheet)
