# Licensed under the Apache License 2.0, see LICENSE.
"""Which classes of an image are pasted onto another one.

A class sampler is a callable. It takes the labels of a batch, int64 (N, 1, H, W), and returns the
class indices of each image: N sequences or tensors. It is registered in
:data:`~mmseg_depthuda.registry.CLASS_SAMPLERS`. It may have a method ``know_classes(names)``, which
is called before the training with the names of the classes in the order of their indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from mmseg_depthuda.adaptation.class_masks import draw_half_of_classes
from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX
from mmseg_depthuda.registry import CLASS_SAMPLERS

ClassSampler = Callable[[Tensor], Sequence[Tensor | Sequence[int]]]
"""From the labels (N, 1, H, W) to the class indices of each image."""


@CLASS_SAMPLERS.register_module()
class HalfOfClasses:
    """Half of the classes of each image, drawn at random.

    See :func:`~mmseg_depthuda.adaptation.class_masks.draw_half_of_classes`.

    Args:
        rounding (str): Half of an odd number of classes, rounded ``'up'`` or ``'down'``. Defaults
            to 'up', as for a pasted source.
        ignored_as (int, optional): Class that the pixels without a label count as. The argmax of
            probabilities that are all zero is the class 0, so that mixing within a domain takes 0.
            Defaults to None: they count as a class of their own.

    Raises:
        ValueError: ``rounding`` is another word, or ``ignored_as`` is negative.

    Source: up: Tranheden et al., "DACS", WACV 2021; down: Hoyer et al., CVPR 2021; their releases.
    """

    def __init__(self, rounding: str = 'up', ignored_as: int | None = None) -> None:
        if rounding not in ('up', 'down'):
            raise ValueError(f"rounding must be 'up' or 'down', got {rounding!r}")
        if ignored_as is not None and ignored_as < 0:
            raise ValueError(f'ignored_as must be the index of a class, got {ignored_as}')
        self.rounding = rounding
        self.ignored_as = ignored_as

    def __call__(self, label: Tensor) -> list[Tensor]:
        """Draw the classes of each image.

        Args:
            label (Tensor): int64, (N, 1, H, W).

        Returns:
            list[Tensor]: N int64 tensors of class indices. 255, the pixels without a label, comes
            along with the class that they count as.
        """
        round_up = self.rounding == 'up'
        if self.ignored_as is None:
            return draw_half_of_classes(label, round_up=round_up)
        counted = label.masked_fill(label == IGNORE_INDEX, self.ignored_as)
        drawn = draw_half_of_classes(counted, round_up=round_up)
        return [
            torch.cat([own, own.new_full((int((own == self.ignored_as).sum()),), IGNORE_INDEX)])
            for own in drawn
        ]


@CLASS_SAMPLERS.register_module()
class GivenClasses:
    """The same classes of every image.

    Args:
        classes (Sequence[int | str]): Their indices, or their names in the metainfo of the
            training dataset. The index 255 means the pixels without a label.

    Raises:
        ValueError: ``classes`` is empty, or holds anything but indices and names.
    """

    def __init__(self, classes: Sequence[int | str]) -> None:
        if isinstance(classes, str):
            raise ValueError(f'classes must be a list, got {classes!r}: write [{classes!r}]')
        wrong = [c for c in classes if isinstance(c, bool) or not isinstance(c, int | str)]
        if wrong or not classes:
            raise ValueError(f'classes must hold class indices or names, got {list(classes)}')
        self.classes = list(classes)

    def know_classes(self, names: Sequence[str]) -> None:
        """Replace names by indices.

        Args:
            names (Sequence[str]): Names of the classes in the order of their indices.

        Raises:
            ValueError: There is no class of a name or an index.
        """
        self.classes = [_class_index(name, names) for name in self.classes]

    def __call__(self, label: Tensor) -> list[list[int]]:
        """Give the classes to each image.

        Args:
            label (Tensor): int64, (N, 1, H, W).

        Returns:
            list[list[int]]: N times the class indices.

        Raises:
            ValueError: The index of a name is not known.
        """
        indices = [one for one in self.classes if isinstance(one, int)]
        if len(indices) < len(self.classes):
            raise ValueError(
                f'the indices of the classes {self.classes} are not known: the training dataset '
                'names no classes. Set its metainfo=dict(classes=...), or give indices.'
            )
        return [indices] * len(label)


def build_class_sampler(
    classes: Sequence[int | str] | Mapping[str, Any] | ClassSampler | None,
) -> ClassSampler:
    """Make a sampler of what a config or a caller names.

    Args:
        classes (Sequence | Mapping | Callable, optional): Indices or names of classes; the config
            of a sampler in the registry ``CLASS_SAMPLERS``; a sampler; or None for
            :class:`HalfOfClasses`.

    Returns:
        Callable: The sampler.

    Raises:
        ValueError: The classes are neither indices nor names.
        KeyError: No sampler is registered under the type of the config.
    """
    if classes is None:
        return HalfOfClasses()
    if isinstance(classes, Mapping):
        return CLASS_SAMPLERS.build(classes)
    return classes if callable(classes) else GivenClasses(classes)


def _class_index(name: int | str, names: Sequence[str]) -> int:
    if isinstance(name, str) and name in names:
        return list(names).index(name)
    if isinstance(name, int) and (0 <= name < len(names) or name == IGNORE_INDEX):
        return name
    near = get_close_matches(name, names, n=1) if isinstance(name, str) else []
    raise ValueError(
        f'classes={name!r} is no class of the training dataset. '
        + (f'Did you mean {near[0]!r}? ' if near else '')
        + f'It has {len(names)} classes: {list(names)}.'
    )
