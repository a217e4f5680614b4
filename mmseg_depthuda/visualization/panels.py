# Licensed under the Apache License 2.0, see LICENSE.
"""Maps as pictures that stand side by side."""

import numpy as np
import torch
from matplotlib import colormaps
from mmseg.models import SegDataPreProcessor
from torch import Tensor

DIFFICULTY_COLORS = 'inferno'
DEPTH_COLORS = 'magma'


def as_map(field) -> np.ndarray:
    """The values of a map, whatever its container.

    Args:
        field (PixelData | Tensor | np.ndarray): (1, H, W) or (H, W), on any device.

    Returns:
        np.ndarray: (H, W), of the dtype of the field, half precision as float32.
    """
    values = getattr(field, 'data', field) if not isinstance(field, np.ndarray) else field
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    return values.reshape(values.shape[-2:])


def images_to_rgb(images: Tensor, preprocessor: SegDataPreProcessor) -> np.ndarray:
    """Undo the normalization of images.

    Args:
        images (Tensor): Normalized, (N, 3, H, W), floating point.
        preprocessor (SegDataPreProcessor): Has normalized them; with ``is_rgb``, such as a
            :class:`UDADataPreProcessor`.

    Returns:
        np.ndarray: RGB, uint8, (N, H, W, 3).
    """
    images = images.detach().float() * preprocessor.std + preprocessor.mean
    images = images if preprocessor.is_rgb else images.flip(1)
    return images.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def color_labels(labels: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Color a label map.

    Args:
        labels (np.ndarray): Class indices, integer, (H, W); 255 and other values without a color
            become black.
        palette (np.ndarray): RGB of each class, uint8, (num_classes, 3).

    Returns:
        np.ndarray: RGB, uint8, (H, W, 3).
    """
    colors = np.zeros((256, 3), dtype=np.uint8)
    colors[: len(palette)] = palette
    return colors[labels]


def upper_end(values: np.ndarray) -> float:
    """The value that gets the last color of a depth map: the 99th percentile of values above 0.

    Args:
        values (np.ndarray): Inverse depth, float, any shape; 0 means no depth. Few pixels with
            depth are enough, as with projected lidar points.

    Returns:
        float: Greater than 0; 1 where every value is 0.
    """
    known = values[values > 0]
    return float(np.percentile(known, 99)) if known.size else 1.0


def color_values(values: np.ndarray, name: str, largest: float) -> np.ndarray:
    """Color a map from 0 to ``largest``.

    Args:
        values (np.ndarray): Float, (H, W); clipped to the range.
        name (str): Name of a color map of Matplotlib.
        largest (float): Value of the last color.

    Returns:
        np.ndarray: RGB, uint8, (H, W, 3).
    """
    return colormaps[name](np.clip(values / largest, 0, 1), bytes=True)[..., :3]


def draw_depths(fields: list, align_medians: bool = False) -> list[np.ndarray]:
    """Color inverse depths on one scale, bright is near.

    Args:
        fields (list[PixelData | Tensor | np.ndarray]): Maps of (1, H, W) or (H, W); the first, the
            truth where there is one, sets the scale.
        align_medians (bool): Multiply the others so that their medians, where the first is known
            (not 0), are equal: for maps whose units differ, or are unknown. The ratio of the
            medians is that of the evaluation with median scaling. Defaults to False.

    Returns:
        list[np.ndarray]: RGB, uint8, (H, W, 3) each.
    """
    truth, *others = (as_map(field) for field in fields)
    if align_medians:
        known = truth > 0
        others = [values * _median_ratio(truth[known], values[known]) for values in others]
    largest = upper_end(truth)
    return [color_values(values, DEPTH_COLORS, largest) for values in (truth, *others)]


def _median_ratio(truth: np.ndarray, values: np.ndarray) -> float:
    """The factor that makes the medians equal; 1 if there are no values, or their median is 0."""
    median = float(np.median(values)) if values.size else 0.0
    return float(np.median(truth)) / median if median > 0 else 1.0


def draw_weight(field, largest: float = 1.0) -> np.ndarray:
    """Color a weight, yellow is ``largest``.

    Args:
        field (PixelData | Tensor | np.ndarray): (1, H, W) or (H, W), not negative.
        largest (float): Value of the last color. Defaults to 1.

    Returns:
        np.ndarray: RGB, uint8, (H, W, 3).
    """
    return color_values(as_map(field), 'viridis', largest)


def draw_difficulty(agreement, largest: float = 1.0) -> np.ndarray:
    """Color where adaptation is difficult: bright is difficult, in every picture of the package.

    Args:
        agreement (PixelData | Tensor | np.ndarray): Agreement of the depth decoders, (1, H, W) or
            (H, W), from 0 (difficult) to ``largest``.
        largest (float): Agreement where adaptation is easiest. Defaults to 1.

    Returns:
        np.ndarray: RGB, uint8, (H, W, 3).
    """
    return color_values(1 - as_map(agreement) / largest, DIFFICULTY_COLORS, 1.0)
