# Licensed under the Apache License 2.0, see LICENSE.
"""What MMEngine's loops hand to a hook, without the None of its signatures."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar('T')

DataBatch = Mapping | Sequence | None
"""Type of ``data_batch`` in the methods of MMEngine's hooks."""


def given(value: T | None, name: str) -> T:
    """Return an argument that every loop of MMEngine gives, although its type allows None.

    Args:
        value: The argument.
        name: Its name, for the message.

    Returns:
        The argument, of its own type.

    Raises:
        TypeError: It is None.
    """
    if value is None:
        raise TypeError(f'the loop gave {name}=None to the hook, but the hook reads it')
    return value


def batch_dict(data_batch: DataBatch) -> dict[str, Any]:
    """Return a batch that is a dictionary.

    Args:
        data_batch: As MMEngine's loops give it.

    Returns:
        dict: ``inputs`` and ``data_samples``, or such a dictionary for each branch by name. The
        same object: hooks change it in place.

    Raises:
        TypeError: The batch is of another type.
    """
    if not isinstance(data_batch, dict):
        raise TypeError(
            f'the batch is of type {type(data_batch).__name__}, but a dict is needed: `inputs` and '
            '`data_samples`, or branches by name. Leave train_dataloader.collate_fn unset.'
        )
    return data_batch
