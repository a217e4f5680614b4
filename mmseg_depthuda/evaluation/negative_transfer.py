# Licensed under the Apache License 2.0, see LICENSE.
"""Negative transfer: the target images that adaptation makes worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .image_scores import ImageScores


@dataclass(frozen=True, eq=False)
class NegativeTransfer:
    """Images before and after adaptation.

    Attributes:
        before: float64, (N,), per-image mIoU of the baseline in percent.
        after: float64, (N,), per-image mIoU of the adapted network in percent, of the same images.
        num_unlabelled: Images without a labeled pixel, which are not among these N.
    """

    before: np.ndarray
    after: np.ndarray
    num_unlabelled: int = 0

    @property
    def worse(self) -> np.ndarray:
        """bool, (N,): images whose mIoU is strictly below that of the baseline."""
        return self.after < self.before

    @property
    def rate(self) -> float:
        """Negative transfer rate: share of the worse images in percent (Vu et al., DADA,
        ICCV 2019)."""
        return 100 * self.worse.mean().item()

    @property
    def num_equal(self) -> int:
        """Images with the same mIoU before and after."""
        return int((self.after == self.before).sum())

    @property
    def mean_gain(self) -> float:
        """Mean over the images of ``after - before``, in percentage points."""
        return (self.after - self.before).mean().item()


def negative_transfer(baseline: ImageScores, adapted: ImageScores) -> NegativeTransfer:
    """Compare the scores of two networks on the same images.

    Args:
        baseline (ImageScores): Of the network before adaptation (source-only).
        adapted (ImageScores): Of the network after it; its images may be in another order.

    Returns:
        NegativeTransfer: Scores of the images that have a labeled pixel, in the baseline's order.

    Raises:
        ValueError: The two differ in their classes, images, sizes or labels, or no image has a
            labeled pixel.
    """
    _check_names('classes', baseline.classes, adapted.classes)
    if tuple(baseline.classes) != tuple(adapted.classes):
        raise ValueError(
            f'the classes are in another order, {list(baseline.classes)} of the baseline and '
            f'{list(adapted.classes)} of the adapted network: test both with one label protocol'
        )
    _check_names('images', baseline.images, adapted.images)
    position = {name: index for index, name in enumerate(adapted.images)}
    order = np.array([position[name] for name in baseline.images])
    for index in np.flatnonzero((baseline.sizes != adapted.sizes[order]).any(axis=1))[:1]:
        (h, w), (adapted_h, adapted_w) = baseline.sizes[index], adapted.sizes[order[index]]
        raise ValueError(
            f'{baseline.images[index]} was compared at {w}x{h} by the baseline and at '
            f'{adapted_w}x{adapted_h} by the adapted network, which changes the numbers: test both '
            'at one size'
        )
    labelled = baseline.labelled_pixels
    for index in np.flatnonzero(labelled != adapted.labelled_pixels[order])[:1]:
        raise ValueError(
            f'{baseline.images[index]} has {labelled[index]} labeled pixels in the baseline, '
            f'{adapted.labelled_pixels[order[index]]} in the adapted network: test both with the '
            'same label files'
        )
    scored = labelled > 0
    if not scored.any():
        raise ValueError(f'none of the {len(scored)} images has a labeled pixel')
    return NegativeTransfer(
        before=baseline.miou[scored],
        after=adapted.miou[order][scored],
        num_unlabelled=int((~scored).sum()),
    )


def _check_names(kind: str, baseline: Sequence[str], adapted: Sequence[str]) -> None:
    """Refuse sets of names that differ, and say in what."""
    present = {'baseline': set(baseline), 'adapted network': set(adapted)}
    missing = {
        owner: sorted(set().union(*present.values()) - own) for owner, own in present.items()
    }
    if any(missing.values()):
        raise ValueError(
            f'the {kind} differ: '
            + '; '.join(
                f'the {owner} lacks {", ".join(names[:3])}'
                + (f' and {len(names) - 3} more' if len(names) > 3 else '')
                for owner, names in missing.items()
                if names
            )
            + '. Test both networks on the same data with one label protocol.'
        )
