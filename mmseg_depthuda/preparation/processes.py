# Licensed under the Apache License 2.0, see LICENSE.
"""Parallel work that can be stopped at any time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

from mmseg_depthuda.engine.opencv_threads import no_opencv_threads

T = TypeVar('T')
R = TypeVar('R')


def map_in_processes(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Apply a function to many items.

    Ctrl-C is for the calling process: closing the iterator lets the workers finish what they are
    at, a fraction of a second, and discards the rest, so that no file is left half written. If the
    calling process is killed, its workers end, too.

    Args:
        function: Function that can be pickled.
        items: Items that can be pickled.
        workers: Processes; with 1, the work is done in the calling process.

    Yields:
        The results in the order of the items.

    Raises:
        concurrent.futures.process.BrokenProcessPool: If a worker died.
    """
    if workers == 1 or len(items) < 2:
        yield from map(function, items)
        return
    with no_opencv_threads():
        executor = ProcessPoolExecutor(min(workers, len(items)), initializer=_start_worker)
        try:
            yield from executor.map(function, items, chunksize=2)
        finally:
            executor.shutdown(cancel_futures=True)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)  # the images are what runs in parallel
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
