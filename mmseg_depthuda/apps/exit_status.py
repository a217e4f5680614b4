# Licensed under the Apache License 2.0, see LICENSE.
"""How a command line ends, whatever happens.

Exit status: 0 if everything was done, 1 if some of many files were skipped, 2 if nothing could be
done or the run could not be finished (bad arguments, a bad config or checkpoint, a missing folder,
a full disk, a killed worker), 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from .expected_errors import message_for_user
from .process_group import is_distributed, is_first_to_speak

COMPLETE, SKIPPED, FAILED, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143

TRACEBACK = 'MMSEG_DEPTHUDA_TRACEBACK'
"""Environment variable; set to 1, an expected error is shown with its traceback."""


class _Terminated(KeyboardInterrupt):
    """SIGTERM. Whatever cleans up after Ctrl-C does so after this, too."""


_stops: list[KeyboardInterrupt] = []


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
        with _stopped_by_signals():
            return work() or COMPLETE
    except (Exception, KeyboardInterrupt) as error:
        stop = _stop_within(error)
        if stop is None and isinstance(error, Exception):
            return _status_of_error(name, error)
        if hasattr(signal, 'SIGCHLD'):
            # PyTorch's handler raises for each worker of a data loader that the stop has ended.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        terminated = isinstance(stop, _Terminated)
        with _undisturbed():
            if is_first_to_speak():
                said = f'{name}: {"terminated" if terminated else "interrupted"}. {how_to_go_on()}'
                print(said.strip(), file=sys.stderr, flush=True)
        return TERMINATED if terminated else INTERRUPTED


def _stop_within(error: BaseException | None) -> KeyboardInterrupt | None:
    """The stop that led to an error: in some places MMEngine replaces any exception by its own."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error


def _status_of_error(name: str, error: Exception) -> int:
    message = message_for_user(error)
    if message is None and not is_distributed():
        raise error
    with _undisturbed():
        if is_first_to_speak():
            if message is None or os.environ.get(TRACEBACK, '0') not in ('', '0'):
                traceback.print_exception(error)
            if message is not None:
                print(f'{name}: Error: {message}', file=sys.stderr, flush=True)
    return FAILED


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore SIGTERM, by which ``torchrun`` ends the other processes after one has failed."""
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM raise an exception, as Ctrl-C does, so that workers end; remember the stop."""

    def stop(number: int, frame: FrameType | None) -> None:
        _stops.append(_Terminated() if number == signal.SIGTERM else KeyboardInterrupt())
        raise _stops[-1]

    _stops.clear()
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, stop)}
    # Where Ctrl-C is ignored, as by a command in the background of a script, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        previous[signal.SIGINT] = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def raise_stop_again() -> None:
    """Raise the stop that a user has asked for, if a bare ``except`` has swallowed it.

    For work of many steps, which would otherwise go on: MMEngine and its dependencies have such
    places.
    """
    if _stops:
        raise _stops[-1]
