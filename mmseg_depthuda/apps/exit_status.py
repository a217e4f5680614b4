# Licensed under the Apache License 2.0, see LICENSE.
"""How a command line ends, whatever happens.

Exit status: 0 if everything was done, 1 if some of many files were skipped, 2 if nothing could be
done or the run could not be finished (bad arguments, a bad config or checkpoint, a missing folder,
a full disk, a killed worker), 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .expected_errors import message_for_user
from .process_group import is_first_to_speak

COMPLETE, SKIPPED, FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

TRACEBACK = 'MMSEG_DEPTHUDA_TRACEBACK'
"""Environment variable; set to 1, an expected error is shown with its traceback."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM. Whatever cleans up after Ctrl-C does so after this, too."""


def same_command() -> str:
    """How to go on with a command that leaves out what is done."""
    return 'The same command goes on from here.'


def exit_status(
    name: str, work: Callable[[], int | None], how_to_go_on: Callable[[], str] = str
) -> int:
    """Do the work of a command line; say on stderr why it could not be finished.

    A mistake in a program is not caught: Python shows its traceback and ends with status 1. Of
    several processes of ``torchrun`` only the first that fails speaks.

    Args:
        name: What the message begins with.
        work: Returns ``COMPLETE`` or ``SKIPPED``; None is ``COMPLETE``.
        how_to_go_on: What to say after Ctrl-C or SIGTERM. Nothing by default.

    Returns:
        Exit status.
    """
    try:
        with _terminated_like_interrupted():
            return work() or COMPLETE
    except (Exception, KeyboardInterrupt) as error:
        stop = _stop_within(error)
        if stop is None:
            return _status_of_error(name, error)
        if hasattr(signal, 'SIGCHLD'):
            # PyTorch's handler raises for each worker of a data loader that the stop has ended.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        terminated = isinstance(stop, _Terminated)
        _say(f'{name}: {"terminated" if terminated else "interrupted"}. {how_to_go_on()}')
        return TERMINATED if terminated else INTERRUPTED


def _stop_within(error: BaseException | None) -> KeyboardInterrupt | None:
    """The stop that led to an error: MMEngine has places that turn any exception into its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _status_of_error(name: str, error: Exception) -> int:
    message = message_for_user(error)
    if message is None and is_first_to_speak():
        raise error
    if os.environ.get(TRACEBACK, '0') not in ('', '0'):
        traceback.print_exception(error)
    if message is not None:
        _say(f'{name}: {message}')
    return FAILED


def _say(message: str) -> None:
    if is_first_to_speak():
        print(message.strip(), file=sys.stderr, flush=True)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM raise, as Ctrl-C does, so that the workers are seen off."""

    def terminate(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    previous = signal.signal(signal.SIGTERM, terminate)
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
