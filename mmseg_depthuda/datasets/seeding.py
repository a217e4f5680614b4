# Licensed under the Apache License 2.0, see LICENSE.
"""Random transforms with a seed of their own."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random``, ``np.random`` and ``torch`` for a block, and restore their states after it.

    MMCV's and MMSeg's transforms draw from these global generators. The states are restored so that
    model and hooks draw the same numbers, whether data is loaded in the main process or in workers.

    Args:
        seed: 0 .. 2**32 - 1.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
