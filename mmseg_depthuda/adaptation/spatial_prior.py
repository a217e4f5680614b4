# Licensed under the Apache License 2.0, see LICENSE.
"""Depth distribution's spatial prior: of pseudo-labels, only large connected components are kept.

Source of everything here: "Spatial Aggregation Priors for Pseudo-labels Refinement", Algorithm 1 of
Wu and Liu, NeurIPS 2022, and the release.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

IGNORED = 255


def component_thresholds(pixels: Sequence[float], base: float, spread: float) -> np.ndarray:
    """Smallest component to keep of each class, from how common the class is in the source.

    ``base + spread * (N_c - N_min) / (N_max - N_min)``: ``base`` for the rarest class, ``base +
    spread`` for the most common one.

    Args:
        pixels: N_c, pixels of each class in the source, or its share of them.
        base: N0 in pixels of a pseudo-label map. Published: 50 for Cityscapes over 16 classes, 100
            over 7; Vistas 50. They belong to maps of 1280x760.
        spread: N1 in pixels. Published: 4950; 900; 50.

    Returns:
        float64, (C,). ``base`` for all where all are equally common.

    Raises:
        ValueError: If a count is negative or not finite, or all are 0.

    Example:
        >>> component_thresholds([10, 30, 20], base=50, spread=100)
        array([ 50., 150., 100.])
    """
    counts = np.asarray(pixels, dtype=np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
        raise ValueError(
            f'pixels must be counts of the classes, some of them above 0, got {pixels}'
        )
    extent = counts.max() - counts.min()
    share = (counts - counts.min()) / extent if extent else np.zeros_like(counts)
    return base + spread * share


def confident_labels(
    label: np.ndarray, confidence: np.ndarray, threshold: float = 0.9
) -> np.ndarray:
    """Ignore the labels that are not confident.

    Args:
        label: (H, W) integer, 0..C-1, or 255.
        confidence: (H, W), largest softmax.
        threshold: Smallest confidence to keep. Defaults to the published 0.9.

    Returns:
        (H, W) uint8, 255 where the confidence is less (or NaN).

    Raises:
        ValueError: If the shapes differ.
    """
    if label.shape != confidence.shape:
        raise ValueError(
            f'label and confidence must have one shape, got {label.shape} and {confidence.shape}'
        )
    return np.where(confidence >= threshold, label, IGNORED).astype(np.uint8)


def keep_large_components(label: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Ignore the connected components of equal class that are small for their class.

    Two pixels of one class are connected if they touch, also at a corner.

    Args:
        label: (H, W) uint8, 0..C-1, or 255, which is no class.
        thresholds: Pixels that a component of each class needs, of
            :func:`component_thresholds`.

    Returns:
        (H, W) uint8, 255 where a component has fewer pixels.

    Raises:
        ValueError: If the label is not such a map, or has a class without threshold.
    """
    if label.ndim != 2 or label.dtype != np.uint8:
        raise ValueError(f'label must be (H, W) uint8, got {label.dtype} of shape {label.shape}')
    counts = np.bincount(label.ravel(), minlength=IGNORED + 1)
    present = np.flatnonzero(counts[:IGNORED])
    if len(present) and present[-1] >= len(thresholds):
        raise ValueError(
            f'label has the class {present[-1]}, but there are thresholds of {len(thresholds)} '
            'classes'
        )
    kept = np.full(label.size, IGNORED, dtype=np.uint8)
    by_class = np.split(np.argsort(label, axis=None, kind='stable'), counts.cumsum()[:-1])
    for index in present.tolist():  # OpenCV finds the components of one class at a time
        of_class = (label == index).view(np.uint8)
        _, components = cv2.connectedComponents(of_class, connectivity=8, ltype=cv2.CV_32S)
        pixels = by_class[index]
        component = components.ravel()[pixels]
        large = np.bincount(component) >= thresholds[index]
        kept[pixels[large[component]]] = index
    return kept.reshape(label.shape)
