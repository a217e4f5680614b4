# Licensed under the Apache License 2.0, see LICENSE.
"""Parallel work that can be stopped at any time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2
from rich.console import Console
from rich.progress import track

SECONDS_BETWEEN_LINES = 30

T = TypeVar('T')
R = TypeVar('R')


def map_in_processes(
    function: Callable[[T], R], items: Sequence[T], workers: int, description: str | None = None
) -> Generator[R, None, None]:
    """Apply a function to many items.

    Only the calling process reacts to Ctrl-C. When the iterator is closed, the workers finish their
    present items, which takes a fraction of a second, and the other items are discarded. So no file
    is left half written. If the calling process is killed, its workers end, too.

    Args:
        function: Function that can be pickled.
        items: Items that can be pickled.
        workers: Processes; with 1, the work is done in the calling process.
        description: What to call the progress on standard error: a bar in a terminal, otherwise a
            line every half minute; both say how long is left. Defaults to None: none.

    Yields:
        The results in the order of the items.

    Raises:
        concurrent.futures.process.BrokenProcessPool: If a worker died.
    """
    results: Iterable[R] = _mapped(function, items, workers)
    if description is not None:
        console = Console(stderr=True)
        if console.is_terminal:
            results = track(results, description, total=len(items), console=console)
        else:  # there, the bar of rich appears only when everything is done
            results = _told_in_lines(results, description, len(items))
    yield from results


def _told_in_lines(results: Iterable[R], description: str, total: int) -> Iterator[R]:
    begun = told = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        now = time.monotonic()
        if done == total or now - told >= SECONDS_BETWEEN_LINES:
            told = now
            line = f'{description}: {done} of {total} ({done / total:.0%})'
            if done < total:
                line += f', about {(now - begun) / done * (total - done):.0f} s left'
            print(line, file=sys.stderr, flush=True)


def _mapped(function: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    if workers == 1 or len(items) < 2:
        yield from map(function, items)
        return
    with no_opencv_threads():
        executor = ProcessPoolExecutor(min(workers, len(items)), initializer=_start_worker)
        try:
            yield from executor.map(function, items, chunksize=2)
        finally:
            executor.shutdown(cancel_futures=True)


@contextmanager
def no_opencv_threads() -> Iterator[None]:
    """Stop OpenCV's threads while processes are forked.

    A forked process inherits the memory of OpenCV's thread pool without its threads, and waits for
    them forever as soon as a function of OpenCV would use or stop them.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends the threads of the pool
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    cv2.setNumThreads(1)  # the items are what runs in parallel
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:  # None only in a main process
        parent.join()
        os._exit(1)
