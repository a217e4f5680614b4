# Licensed under the Apache License 2.0, see LICENSE.
"""Parts of a dataset: which images have been labeled, and which have not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

KEYS = ('size', 'share', 'file')


def check_subset(subset: Mapping[str, Any]) -> None:
    """Check the form of the ``subset`` of a dataset.

    Args:
        subset (Mapping): Exactly one of ``size`` (int, above 0), ``share`` (float, above 0 and at
            most 1) and ``file`` (path of a list of images); and optionally ``seed`` (int), and one
            of ``rest`` and ``labels_only`` (bool).

    Raises:
        ValueError: It has another form.
    """
    unknown = sorted(set(subset) - {*KEYS, 'seed', 'rest', 'labels_only'})
    given = [key for key in KEYS if subset.get(key) is not None]
    if unknown or len(given) != 1:
        raise ValueError(
            f'subset must have exactly one of {", ".join(KEYS)}, and may have seed, and rest or '
            f'labels_only, got {dict(subset)}'
        )
    if subset.get('rest') and subset.get('labels_only'):
        raise ValueError(
            f'subset cannot have both rest and labels_only, got {dict(subset)}: rest=True takes '
            'the other images alone, labels_only=True all images.'
        )
    (key,) = given
    value = subset[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == 'size' and not (isinstance(value, int) and is_number and value > 0):
        raise ValueError(f'subset.size must be a whole number above 0, got {value!r}')
    if key == 'share' and not (is_number and 0 < value <= 1):
        raise ValueError(f'subset.share must be above 0 and at most 1, got {value!r}')


def subset_positions(number: int, size: int, seed: int = 0) -> list[int]:
    """Draw images of a sorted list.

    Args:
        number (int): Images of the list.
        size (int): How many to draw.
        seed (int): Of NumPy's legacy generator, as in the release. Defaults to 0.

    Returns:
        list[int]: Positions in the order in which they are drawn: the first ``size`` of a
        permutation. So a smaller subset of a seed is part of a larger one.

    Source: Hoyer et al., CVPR 2021, and its release, which draws 100, 372 and 744 of the 2975
        images of Cityscapes with the seeds 7, 25 and 42.
    """
    return np.random.RandomState(seed).permutation(number)[:size].tolist()


def choose_subset(
    stems: Sequence[str], subset: Mapping[str, Any], listed: Sequence[str] = ()
) -> list[str]:
    """The images of a subset.

    Args:
        stems (Sequence[str]): All images, sorted by path.
        subset (Mapping): As :func:`check_subset` takes it.
        listed (Sequence[str]): The images of ``subset['file']``.

    Returns:
        list[str]: Those of the subset, or with ``rest`` all others, in the order of ``stems``.

    Raises:
        ValueError: The subset is larger than the set, or with ``rest`` nothing is left.
    """
    if subset.get('file') is not None:
        chosen = set(listed)
    else:
        size = subset.get('size')
        if size is None:
            size = max(1, round(subset['share'] * len(stems)))
        if size > len(stems):
            raise ValueError(f'subset.size is {size}, but there are only {len(stems)} images')
        positions = subset_positions(len(stems), size, subset.get('seed', 0))
        chosen = {stems[position] for position in positions}
    rest = bool(subset.get('rest', False))
    found = [stem for stem in stems if (stem in chosen) != rest]
    if not found:
        raise ValueError(f'subset {dict(subset)} leaves no image of {len(stems)}')
    return found
