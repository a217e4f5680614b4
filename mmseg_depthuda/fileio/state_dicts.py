# Licensed under the Apache License 2.0, see LICENSE.
"""The difference between a state dict and a network: missing, unexpected, reshaped tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]
"""Shape by name of the tensor; ``torch.Size`` is a tuple."""


class StateDifference(NamedTuple):
    """Names of the tensors that keep a state dict from fitting, each list sorted.

    Args:
        missing (list[str]): Wanted, but not found.
        unexpected (list[str]): Found, but not wanted.
        reshaped (list[str]): Found with another shape.
    """

    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]


def tensor_shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a state dict by name; other values are left out."""
    return {name: tuple(value.shape) for name, value in state.items() if isinstance(value, Tensor)}


def compare_shapes(found: Shapes, wanted: Shapes) -> StateDifference:
    """Compare a state dict with a network.

    Args:
        found (Mapping[str, tuple[int, ...]]): Shapes of the state dict.
        wanted (Mapping[str, tuple[int, ...]]): Shapes of the network.

    Returns:
        StateDifference: All lists are empty if and only if the state dict fits.

    Example:
        >>> compare_shapes({'a': (2,), 'b': (3,)}, {'a': (1,), 'c': ()})
        StateDifference(missing=['c'], unexpected=['b'], reshaped=['a'])
    """
    return StateDifference(
        missing=sorted(wanted.keys() - found.keys()),
        unexpected=sorted(found.keys() - wanted.keys()),
        reshaped=sorted(
            name for name in found.keys() & wanted.keys() if found[name] != wanted[name]
        ),
    )
