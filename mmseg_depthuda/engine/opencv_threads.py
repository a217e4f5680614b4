# Licensed under the Apache License 2.0, see LICENSE.
"""OpenCV's threads and processes that are forked."""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2


@contextmanager
def no_opencv_threads() -> Iterator[None]:
    """Stop OpenCV's threads for a block in which processes are forked.

    A forked process inherits the memory of OpenCV's thread pool without its threads, and waits for
    them forever as soon as a function of OpenCV would use or stop them.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # ends the threads of the pool
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
