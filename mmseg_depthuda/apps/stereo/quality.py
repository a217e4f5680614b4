# Licensed under the Apache License 2.0, see LICENSE.
"""How good matched depth is where the exact depth is known."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
from scipy.io import loadmat

from mmseg_depthuda.datasets import CityscapesDepthDataset
from mmseg_depthuda.datasets.transforms import read_labels
from mmseg_depthuda.datasets.transforms.depth_files import DEPTH_MAT_KEY
from mmseg_depthuda.fileio import map_in_processes

from .pair_files import cityscapes_pairs, read_image
from .pair_matching import MatchingOptions
from .stereo_camera import StereoCamera, read_camera

ALL, WITHOUT_DEPTH = 'all', 'no depth'
STEPS = ('matched', 'inpainted')
COLUMNS = ('pixels', 'density', 'bad_1', 'bad_3', 'epe', 'abs_rel')


@dataclass(frozen=True)
class EvaluatedPair:
    """A stereo pair whose depth is known.

    Attributes:
        name: The pair.
        left, right: Images.
        camera: File of the camera.
        depth: MATLAB file of the exact depth, 0 where there is none (the sky).
        labels: Label file.
    """

    name: str
    left: str
    right: str
    camera: str
    depth: str
    labels: str


def evaluated_pairs(root: str, split: str = 'val') -> list[EvaluatedPair]:
    """The pairs of a split of a street world whose depth is exact.

    Args:
        root: Folder of the Cityscapes layout, rendered with the parts ``image label depth right
            camera``.
        split: Its depth must be exact, which is that of ``'val'``.

    Raises:
        FileNotFoundError: If something is missing.
    """
    dataset = CityscapesDepthDataset(split=split, depth='stereo', data_root=root, lazy_init=True)
    return [
        EvaluatedPair(
            pair.name,
            pair.left,
            pair.right,
            str(pair.camera),
            dataset.companion_path('depth_map_path', pair.name),
            dataset.companion_path('seg_map_path', pair.name),
        )
        for pair in cityscapes_pairs(root, root, split, {})
    ]


def error_sums(
    estimate: np.ndarray,
    truth: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
) -> np.ndarray:
    """Sums over the errors of one image, by class.

    Args:
        estimate: Disparity, float32 ``(H, W)``, pixels, 0 where unknown.
        truth: Exact disparity, the same; 0 where there is none.
        labels: Train index of every pixel, uint8 ``(H, W)``; others than classes count for no
            class.
        num_classes: Number of classes C.

    Returns:
        float64 ``(C + 2, 6)``. Rows: the classes, all pixels with depth, pixels without depth.
        Columns: pixels, pixels with an estimate, those more than 1 and more than 3 pixels wrong,
        sum of the absolute errors in pixels, sum of the relative errors of depth. In the row
        without depth, only the first two are not 0.
    """
    has_depth, estimated = truth > 0, estimate > 0
    error = np.abs(estimate - truth)
    both = has_depth & estimated
    # |z' - z| / z with z = f b / d
    relative = np.divide(np.abs(truth - estimate), estimate, out=np.zeros_like(error), where=both)
    terms = [has_depth, both, both & (error > 1), both & (error > 3), both * error, relative]
    row = np.where(labels < num_classes, labels, num_classes).astype(np.intp).ravel()
    sums = [
        np.bincount(row, np.asarray(term, np.float64).ravel(), num_classes + 1) for term in terms
    ]
    by_class = np.stack(sums, axis=1)
    without = np.zeros(len(terms))
    without[:2] = np.count_nonzero(~has_depth), np.count_nonzero(~has_depth & estimated)
    return np.vstack([by_class[:-1], by_class.sum(axis=0), without])


def measure(
    pairs: Sequence[EvaluatedPair], options: MatchingOptions, workers: int = 1
) -> dict[str, dict[str, dict[str, float]]]:
    """Errors of matching and inpainting over all pixels of all pairs.

    Args:
        pairs: The pairs.
        options: How they are matched.
        workers: Processes.

    Returns:
        Step (:data:`STEPS`) -> class name, ``'all'`` or ``'no depth'`` -> column
        (:data:`COLUMNS`) -> number. ``density`` is the share of the pixels that have an estimate,
        ``bad_1`` and ``bad_3`` are shares of those. Classes that do not occur are left out.
    """
    dataset = CityscapesDepthDataset(lazy_init=True)
    classes = dataset.metainfo['classes']
    work = partial(
        _sums_of_pair, options=options, label_map=dataset.label_map, num_classes=len(classes)
    )
    with closing(map_in_processes(work, pairs, workers)) as results:
        total = np.sum(list(results), axis=0)
    names = (*classes, ALL, WITHOUT_DEPTH)
    return {
        step: {name: _means(row) for name, row in zip(names, sums, strict=True) if row[0]}
        for step, sums in zip(STEPS, total, strict=True)
    }


def _means(sums: np.ndarray) -> dict[str, float]:
    pixels, estimated = sums[:2]
    errors = sums[2:] / estimated if estimated else np.full(4, np.nan)
    return dict(zip(COLUMNS, (pixels, estimated / pixels, *errors), strict=True))


def _sums_of_pair(
    pair: EvaluatedPair, options: MatchingOptions, label_map: Mapping[int, int], num_classes: int
) -> list[np.ndarray]:
    left, right, camera, truth = load_pair(pair)
    labels = read_labels(pair.labels, label_map)
    return [
        error_sums(
            replace(options, inpaint=inpaint).disparity(left, right, camera),
            truth,
            labels,
            num_classes,
        )
        for inpaint in (False, True)
    ]


def load_pair(
    pair: EvaluatedPair,
) -> tuple[np.ndarray, np.ndarray, StereoCamera, np.ndarray]:
    """Left and right image, camera, and exact disparity (float32 ``(H, W)``, 0 = none)."""
    camera = read_camera(pair.camera)
    metres = np.asarray(loadmat(pair.depth)[DEPTH_MAT_KEY], np.float32)
    truth = np.zeros_like(metres)
    np.divide(np.float32(camera.focal_baseline), metres, out=truth, where=metres > 0)
    left, right = (
        read_image(path, key)
        for path, key in ((pair.left, 'left image'), (pair.right, 'right image'))
    )
    return left, right, camera, truth


def table(measured: dict[str, dict[str, dict[str, float]]]) -> str:
    """The measured numbers as a Markdown table: matched / inpainted.

    Args:
        measured: As :func:`measure` returns it.
    """
    lines = [
        '| | share of the pixels | density | bad-1 | bad-3 | end-point error | abs_rel |',
        '| --- | --- | --- | --- | --- | --- | --- |',
    ]
    matched, inpainted = (measured[step] for step in STEPS)
    total = matched[ALL]['pixels']
    for name in inpainted:
        cells = [f'{matched[name]["pixels"] / total:.1%}']
        for column, form in (
            ('density', '.1%'), ('bad_1', '.1%'), ('bad_3', '.1%'), ('epe', '.2f'),
            ('abs_rel', '.3f'),
        ):  # fmt: skip
            if name == WITHOUT_DEPTH and column != 'density':
                cells.append('-')
            else:
                cells.append(f'{matched[name][column]:{form}} / {inpainted[name][column]:{form}}')
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def processor_seconds(
    pair: EvaluatedPair, options: MatchingOptions, enlargement: int, repeats: int
) -> float:
    """Processor time that matching and inpainting one pair takes on one core.

    Args:
        pair: The pair.
        options: How it is matched.
        enlargement: Factor by which the images are enlarged before.
        repeats: How often it is done; the fastest counts.

    Returns:
        Seconds.
    """
    left, right, camera, _ = load_pair(pair)
    left, right = (
        cv2.resize(i, None, fx=enlargement, fy=enlargement, interpolation=cv2.INTER_CUBIC)
        for i in (left, right)
    )
    camera = StereoCamera(camera.fx * enlargement, camera.baseline)
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        seconds = list(_timed(lambda: options.disparity(left, right, camera), repeats))
    finally:
        cv2.setNumThreads(threads)
    return min(seconds)


def _timed(work: Callable[[], object], repeats: int) -> Iterator[float]:
    for _ in range(repeats):
        start = time.process_time()
        work()
        yield time.process_time() - start


def picture(pairs: Sequence[EvaluatedPair], options: MatchingOptions) -> np.ndarray:
    """One row per pair: left image, exact, matched and inpainted disparity, error.

    Disparity is blue where far and red where near, black where there is none; errors are black to
    white for 0 to 3 pixels.

    Args:
        pairs: The pairs, of one size.
        options: How they are matched.

    Returns:
        uint8 ``(n * H, 5 * W, 3)`` BGR.
    """
    return np.vstack([_row(*load_pair(pair), options) for pair in pairs])


def _row(
    left: np.ndarray,
    right: np.ndarray,
    camera: StereoCamera,
    truth: np.ndarray,
    options: MatchingOptions,
) -> np.ndarray:
    matched, inpainted = (
        replace(options, inpaint=inpaint).disparity(left, right, camera)
        for inpaint in (False, True)
    )
    error = np.where((inpainted > 0) & (truth > 0), np.abs(inpainted - truth), 0)
    gray = (error.clip(0, 3) / 3 * 255).astype(np.uint8)
    # The square root spreads the far range, where most of a scene is.
    scale = np.sqrt(truth.max())
    colored = []
    for disparity in (truth, matched, inpainted):
        share = (np.sqrt(disparity) / scale).clip(0, 1)
        colors = cv2.applyColorMap((255 * share).astype(np.uint8), cv2.COLORMAP_TURBO)
        colored.append(np.where((disparity > 0)[..., None], colors, np.uint8(0)))
    return np.hstack([left, *colored, cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)])
