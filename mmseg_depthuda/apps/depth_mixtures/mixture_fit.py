# Licensed under the Apache License 2.0, see LICENSE.
"""Mixtures of Gaussians fitted to the samples of each class."""

from __future__ import annotations

import logging
import warnings
from contextlib import closing
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from mmengine.logging import print_log
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures
from mmseg_depthuda.datasets.depth_encodings import DEPTH_ENCODINGS
from mmseg_depthuda.datasets.depth_mixture_files import MixtureMeta
from mmseg_depthuda.fileio import map_in_processes

from .class_samples import ClassSamples

LEAST_VARIANCE = 1e-6
"""In grid pixels squared and encoded depth squared; that of the published mixtures."""
PIXEL_VARIANCE = np.array([1 / 12, 1 / 12, 0])
"""Of a place anywhere in a pixel, by column and row, and of an exact depth."""
MISSING = ('drop', 'component')


class ClassFit(NamedTuple):
    """Mixture of one class.

    Attributes:
        weights: (K,) float64.
        means: (K, 3).
        variances: (K, 3).
        samples: Number of samples that were fitted.
        log_likelihood: Mean of them, in nats.
        converged: Whether the fit gained less than 1e-3 nats at last.
    """

    weights: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    samples: int
    log_likelihood: float
    converged: bool


class FitReport(NamedTuple):
    """Fitted mixtures of all classes.

    Attributes:
        mixtures: The mixtures.
        meta: What they were fitted on.
        log_likelihood: Mean log-likelihood of the samples of each class, NaN without mixture.
    """

    mixtures: DepthMixtures
    meta: MixtureMeta
    log_likelihood: list[float]


def fit_class(
    samples: np.ndarray, components: int = 5, *, seed: int = 0, starts: int = 5, missing: float = 0
) -> ClassFit:
    """Fit one mixture of diagonal covariance.

    Column and row are drawn uniformly from the pixel: on a coarse grid, components would otherwise
    collapse onto single rows, where the likelihood has no bound. It adds a twelfth of a pixel
    squared to a variance. Each axis is standardized for the fit, so that the k-means from which it
    starts sees all three; variances are at least :data:`LEAST_VARIANCE` in original units.

    Args:
        samples: Column, row, encoded depth, float64 (n, 3), n of at least ``components``.
        components: K.
        seed: Of the starts and of the places within pixels.
        starts: Fits from as many starts, of which the best is kept.
        missing: Encoded depth from which on depth is missing, as the 65536 of 0 cm. Such samples
            are one component of their own, with their share as its weight. Defaults to 0: there are
            none.

    Returns:
        The mixture.

    Raises:
        ValueError: If there are fewer samples than components.
    """
    apart = samples[:, 2] >= missing if missing else np.zeros(len(samples), dtype=bool)
    rest, absent = samples[~apart], samples[apart]
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = []
    if len(absent):
        spread = absent.var(axis=0) + PIXEL_VARIANCE
        parts.append((np.ones(1), absent.mean(axis=0)[None], spread[None], len(absent)))
    free = components - len(parts)
    converged = True
    if len(rest):
        if len(rest) < free:
            raise ValueError(f'{len(rest)} samples are too few for {free} components')
        weights, means, variances, converged = _fit(rest, free, seed, starts)
        parts.append((weights, means, variances, len(rest)))
    weights = np.concatenate([part[0] * part[3] / len(samples) for part in parts])
    means, variances = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    variances = np.maximum(variances, LEAST_VARIANCE)
    lacking = components - len(weights)  # where all depths are missing
    if lacking:
        weights = np.pad(weights, (0, lacking))
        means, variances = (np.pad(a, ((0, lacking), (0, 0)), 'edge') for a in (means, variances))
    score = _log_density(samples, weights, means, variances).mean()
    return ClassFit(weights, means, variances, len(samples), float(score), converged)


def _fit(
    samples: np.ndarray, components: int, seed: int, starts: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    within = np.random.default_rng(seed).uniform(-0.5, 0.5, samples.shape)
    samples = samples + np.where(PIXEL_VARIANCE > 0, within, 0)
    center = samples.mean(axis=0)
    scale = np.maximum(samples.std(axis=0), LEAST_VARIANCE**0.5)  # sky has one depth
    mixture = GaussianMixture(
        components, covariance_type='diag', n_init=starts, random_state=seed, max_iter=100
    )
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', ConvergenceWarning)  # told by `converged`
        mixture.fit((samples - center) / scale)
    return (
        mixture.weights_,
        mixture.means_ * scale + center,
        mixture.covariances_ * scale**2,
        bool(mixture.converged_),
    )


def _log_density(
    samples: np.ndarray, weights: np.ndarray, means: np.ndarray, variances: np.ndarray
) -> np.ndarray:
    squares = (samples[:, None] - means) ** 2 / variances + np.log(2 * np.pi * variances)
    with np.errstate(divide='ignore'):  # weight 0
        return np.logaddexp.reduce(np.log(weights) - 0.5 * squares.sum(axis=-1), axis=1)


def fit_depth_mixtures(
    drawn: ClassSamples,
    components: int = 5,
    *,
    seed: int = 0,
    starts: int = 5,
    workers: int = 1,
    missing_depth: str = 'drop',
    skip_missing_classes: bool = False,
) -> FitReport:
    """Fit one mixture per class, with a progress bar.

    Args:
        drawn: Samples of every class.
        components: K.
        seed: Of the starts.
        starts: Fits of each class, of which the best is kept.
        workers: Processes, a class each.
        missing_depth: What becomes of pixels of depth 0 m where the encoding takes that for a depth
            (``'dada'``: 65536): ``'drop'``, or ``'component'``, one component of their own.
        skip_missing_classes: Leave a class without mixture that has fewer samples than components,
            with a warning.

    Returns:
        The mixtures, what they were fitted on, and how well they fit.

    Raises:
        ValueError: If a class has fewer samples than components.
    """
    if missing_depth not in MISSING:
        raise ValueError(f'missing_depth must be one of {MISSING}, got {missing_depth!r}')
    missing = float(DEPTH_ENCODINGS[drawn.encoding](np.zeros(1))[0])
    samples = drawn.samples
    if missing and missing_depth == 'drop':
        samples = [own[own[:, 2] < missing] for own in samples]
    few = [i for i, own in enumerate(samples) if len(own) < components]
    if few:
        _tell_few(drawn, [(i, len(samples[i])) for i in few], components, skip_missing_classes)
    fit = partial(_fit_alone, components=components, seed=seed, starts=starts, missing=missing)
    fitted = [i for i in range(len(samples)) if i not in few]
    items = [(drawn.classes[i], samples[i]) for i in fitted]
    with closing(map_in_processes(fit, items, workers, 'classes')) as fits:
        found = dict(zip(fitted, fits, strict=True))
    slow = [drawn.classes[i] for i, own in found.items() if not own.converged]
    if slow:
        print_log(
            f'After 100 iterations the fit still gained more than 0.001 nats: {", ".join(slow)}.',
            'current',
            logging.WARNING,
        )
    none = ClassFit(
        np.zeros(components), np.zeros((components, 3)), np.ones((components, 3)), 0, np.nan, True
    )
    by_class = [found.get(i, none) for i in range(len(samples))]
    meta = MixtureMeta(
        classes=drawn.classes,
        grid=drawn.grid,
        encoding=drawn.encoding,
        pixels=tuple(drawn.pixels),
        samples=tuple(own.samples for own in by_class),
        components=components,
        seed=seed,
    )
    stacked = (
        torch.from_numpy(np.stack([getattr(own, name) for own in by_class]))
        for name in ('weights', 'means', 'variances')
    )
    return FitReport(DepthMixtures(*stacked), meta, [own.log_likelihood for own in by_class])


def _fit_alone(
    named: tuple[str, np.ndarray], components: int, seed: int, starts: int, missing: float
) -> ClassFit:
    name, samples = named
    # A forked process must not wait for OpenMP's threads of its parent.
    with threadpool_limits(1):
        try:
            return fit_class(samples, components, seed=seed, starts=starts, missing=missing)
        except ValueError as error:
            raise ValueError(
                f'the mixture of {name} cannot be fitted: {error} '
                'Take fewer components, or another seed.'
            ) from error


def _tell_few(drawn: ClassSamples, few: list[tuple[int, int]], components: int, skip: bool) -> None:
    named = ', '.join(f'{drawn.classes[i]} ({count})' for i, count in few)
    message = f'fewer samples with depth than the {components} components have the classes {named}'
    if not skip:
        raise ValueError(
            f'{message}. Read more images, take fewer components, or leave these classes without '
            'mixture (--skip-missing-classes): their density is then 0 everywhere.'
        )
    print_log(f'Without mixture, density 0: {message}.', 'current', logging.WARNING)
