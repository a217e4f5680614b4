# Licensed under the Apache License 2.0, see LICENSE.
"""Which of the processes of a distributed run prints how the run ends."""

from __future__ import annotations

import os
from datetime import timedelta

from torch.distributed import DistError, TCPStore

SECONDS_TO_CONNECT = 5


def is_distributed() -> bool:
    """Whether ``torchrun`` or the like has started this process as one of several."""
    return int(os.environ.get('WORLD_SIZE', '1')) > 1


def is_first_to_speak() -> bool:
    """Whether this process of a distributed run is the first to say how the run ends.

    Often all processes fail alike, or one fails and its end makes the others fail. ``torchrun``
    keeps a store that every process reaches until the run ends: the first process leaves a note.
    Where there is no store, every process speaks.

    Returns:
        True in a process that is alone.
    """
    if not is_distributed() or 'MASTER_PORT' not in os.environ:
        return True
    attempt = os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')
    try:
        store = TCPStore(
            os.environ['MASTER_ADDR'],
            int(os.environ['MASTER_PORT']),
            is_master=False,
            timeout=timedelta(seconds=SECONDS_TO_CONNECT),
            wait_for_workers=False,
        )
        return store.add(f'mmseg_depthuda/spoken/{attempt}', 1) == 1
    except (DistError, RuntimeError):
        return True
