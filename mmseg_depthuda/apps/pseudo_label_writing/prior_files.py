# Licensed under the Apache License 2.0, see LICENSE.
"""Files that tell how large a component of each class must be."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmseg_depthuda.adaptation.spatial_prior import component_thresholds
from mmseg_depthuda.datasets.depth_mixture_files import KIND as MIXTURES

CONTENT = (
    'It is a file of fit_depth_mixtures.py, of dataset_converters/class_statistics.py, or JSON '
    'like {"classes": ["road", "car"], "thresholds": [3000, 200]}.'
)


def read_component_thresholds(
    path: str | Path, classes: Sequence[str], base: float, spread: float
) -> list[float]:
    """Read the smallest component of each class, or what it is computed from.

    Args:
        path: JSON file: depth mixtures or class statistics, from whose pixel counts
            :func:`~mmseg_depthuda.adaptation.spatial_prior.component_thresholds` follow; or
            ``classes`` and ``thresholds`` themselves.
        classes: Names of the classes of the network.
        base: N0, for the first two kinds.
        spread: N1, for the first two kinds.

    Returns:
        Pixels, one number per class.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of none of these kinds, or of other classes.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        if content.get('kind') == MIXTURES:
            names = [own['name'] for own in content['classes']]
            values = component_thresholds(
                [own['pixels'] for own in content['classes']], base, spread
            )
        elif 'thresholds' in content:
            names = content['classes']
            values = np.array(content['thresholds'], dtype=np.float64)
        else:
            names = content['classes']
            counts = np.array(list(content['pixels'].values()), dtype=np.float64)
            values = component_thresholds(counts.sum(axis=0), base, spread)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'--spatial-prior: there is no file {path}. {CONTENT}') from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'--spatial-prior: {path} tells no thresholds ({type(error).__name__}: {error}). '
            f'{CONTENT}'
        ) from error
    if list(names) != list(classes) or values.shape != (len(classes),):
        raise ValueError(
            f'--spatial-prior: {path} is about the classes {list(names)} ({values.size} numbers), '
            f'the network has {list(classes)}. Take a file of the same classes.'
        )
    if not (values >= 0).all():
        raise ValueError(f'--spatial-prior: {path} has negative thresholds, {values.tolist()}.')
    return values.tolist()
