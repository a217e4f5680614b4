# Licensed under the Apache License 2.0, see LICENSE.
"""Peak memory of a function on the CPU, where PyTorch keeps no allocator statistics.

The function runs in a fresh child process, and what is reported is the peak of that process's
resident set minus its size at the start, when all libraries are imported. Three things make this
the peak of live tensors (weights, gradients, optimizer and teacher included, as in CUDA's
``max_memory_allocated``) and of the kernels' scratch memory:

* glibc is told to give every block of 64 KiB or more its own mapping, which returns to the system
  the moment a tensor is freed. By default it raises that threshold to 32 MiB as it goes, and the
  resident set then also counts freed blocks that it keeps.
* Linux's ``VmHWM`` belongs to the process image; ``ru_maxrss`` of a child would start at the
  parent's.
* The kernel keeps the true maximum, so nothing is missed between samples.

The settings cost speed: time is measured elsewhere.
"""

import multiprocessing
import os
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

PROCESS_STATUS = Path('/proc/self/status')
EAGER_RETURN = dict(MALLOC_MMAP_THRESHOLD_='65536', MALLOC_TRIM_THRESHOLD_='65536')


def peak_resident_bytes(function: Callable, *args) -> int | None:
    """Run ``function(*args)`` in a fresh process and measure its peak memory.

    Args:
        function: Importable function; the modules of its arguments are imported before the start.
        *args: Picklable arguments.

    Returns:
        Bytes above the size of the process before the call; None on systems without
        ``/proc/self/status``, which are all but Linux.

    Raises:
        Exception: What the function raises.
        BrokenProcessPool: If the process was killed, most likely for want of memory.
    """
    if not PROCESS_STATUS.exists():
        return None
    with (
        _environment(EAGER_RETURN),
        ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as pool,
    ):
        return pool.submit(_measure, function, *args).result()


def _measure(function: Callable, *args) -> int:
    before = _status_bytes('VmRSS')
    function(*args)
    return _status_bytes('VmHWM') - before


def _status_bytes(field: str) -> int:
    kibibytes = re.search(rf'^{field}:\s+(\d+) kB$', PROCESS_STATUS.read_text(), re.MULTILINE)
    if kibibytes is None:
        raise ValueError(f'{PROCESS_STATUS} has no line {field}')
    return 1024 * int(kibibytes.group(1))


@contextmanager
def _environment(variables: dict[str, str]):
    """Set environment variables for the processes started in a block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
