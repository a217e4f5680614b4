# Licensed under the Apache License 2.0, see LICENSE.
"""Allow-list of the types in MMEngine's own checkpoints for ``torch.load(weights_only=True)``.

MMEngine stores its message hub in every checkpoint: ``HistoryBuffer`` objects that hold NumPy
arrays, and scores as NumPy scalars. From PyTorch 2.6 on ``torch.load`` reads only listed types
unless told otherwise, and MMEngine 0.10.7 does not tell it otherwise, so that without this list it
cannot resume what it wrote itself. Code that a checkpoint could smuggle in stays forbidden.

Importing this module is enough. Checkpoints written under NumPy 1 and NumPy 2 name the same types
differently; both names are listed, so that either NumPy reads the other's checkpoints.
"""

from __future__ import annotations

from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from packaging.version import parse

_STATISTICS = ('min', 'max', 'current', 'mean')


def history_statistic(owner: type, name: str):
    """Replace ``getattr``, by which a pickled ``HistoryBuffer`` names its statistics methods.

    ``getattr`` itself in the list would let a checkpoint reach any attribute of the listed types.

    Args:
        owner (type): Must be :class:`mmengine.logging.HistoryBuffer`.
        name (str): One of its statistics methods.

    Returns:
        Callable: The method.

    Raises:
        UnpicklingError: Anything else is asked for.
    """
    if owner is not HistoryBuffer or name not in _STATISTICS:
        raise UnpicklingError(f'a checkpoint may not name the attribute {name!r} of {owner!r}')
    return getattr(owner, name)


def mmengine_checkpoint_types() -> list[Any]:
    """List what MMEngine checkpoints hold besides tensors and plain Python objects.

    Returns:
        list[tuple]: ``(object, name in the pickle)`` pairs, as
        :func:`torch.serialization.add_safe_globals` takes them. A type listed without its name
        would be gone after the first load: the maintained MMEngine lists types by
        :func:`torch.serialization.safe_globals`, which in the end removes even those that were
        listed before it.
    """
    core: Any = getattr(np, '_core' if parse(np.__version__) >= parse('2') else 'core')
    numeric = np.typecodes['AllInteger'] + np.typecodes['AllFloat'] + '?'
    types = {HistoryBuffer, np.ndarray, np.dtype, *(type(np.dtype(code)) for code in numeric)}
    return [
        *((type_, f'{type_.__module__}.{type_.__qualname__}') for type_ in types),
        (history_statistic, 'builtins.getattr'),
        *(
            (function, f'{package}.multiarray.{name}')
            for package in ('numpy.core', 'numpy._core')
            for name, function in (
                ('_reconstruct', core.multiarray._reconstruct),
                ('scalar', core.multiarray.scalar),
            )
        ),
    ]


# Older PyTorch reads every type by default, and has no such list or one without names.
if parse(torch.__version__) >= parse('2.6'):
    torch.serialization.add_safe_globals(mmengine_checkpoint_types())
