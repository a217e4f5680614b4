# Licensed under the Apache License 2.0, see LICENSE.
"""How a command line that works through many files ends, whatever happens.

Exit status: 0 if every file can be used, 1 if some were skipped, 2 if nothing could be done or the
run could not be finished (bad arguments, a missing folder, a full disk, a killed worker), 130 if it
was interrupted (Ctrl-C, SIGTERM).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

COMPLETE, SKIPPED, FAILED, INTERRUPTED = 0, 1, 2, 130


def exit_status(name: str, work: Callable[[], int]) -> int:
    """Do the work of a command line; say on stderr why it could not be finished.

    Args:
        name: What the message begins with.
        work: Returns ``COMPLETE`` or ``SKIPPED``.

    Returns:
        Exit status.
    """
    try:
        with _terminated_like_interrupted():
            return work()
    except (OSError, ValueError) as error:
        print(f'{name}: {error}', file=sys.stderr)
        return FAILED
    except BrokenProcessPool:
        print(
            f'{name}: a worker process was killed, perhaps for lack of memory. The same command '
            'goes on from here; try fewer --workers.',
            file=sys.stderr,
        )
        return FAILED
    except KeyboardInterrupt:
        print(f'{name}: interrupted. The same command goes on from here.', file=sys.stderr)
        return INTERRUPTED


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM raise KeyboardInterrupt, as Ctrl-C does, so that the workers are seen off."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def positive_integer(text: str) -> int:
    """Type of an argument that is a number of processes and the like.

    Raises:
        argparse.ArgumentTypeError: If the text is something else.
    """
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive number')
    return int(text)
