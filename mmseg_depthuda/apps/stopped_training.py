# Licensed under the Apache License 2.0, see LICENSE.
"""What to say about a training that was stopped by Ctrl-C or SIGTERM."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, Runner

from mmseg_depthuda.fileio import latest_checkpoint
from mmseg_depthuda.startup import CONSOLE_SCRIPT

from .exit_status import raise_stop_again
from .process_group import is_distributed


class StopHook(Hook):
    """Ends a training if the code that the stop interrupted has caught it."""

    priority = 'VERY_LOW'

    def _after_iter(self, *args, **kwargs) -> None:
        """After an iteration of training, validation or testing."""
        raise_stop_again()


def how_to_go_on(runner: Runner, argv: Sequence[str], resume: str | None) -> str:
    """Iteration and last checkpoint of a stopped training, and the command that goes on.

    Args:
        runner: Of the training.
        argv: Its command line, beginning with the script.
        resume: Value of ``--resume`` in it, None if it is not there.

    Returns:
        One line.
    """
    loop = runner._train_loop
    # Until MMEngine builds the loop, its config is in its place.
    done = f'{loop.iter} of {loop.max_iters}' if isinstance(loop, BaseLoop) else 'No'
    checkpoint = latest_checkpoint(runner.work_dir)
    if checkpoint is None or (resume is None and not _is_newer(checkpoint, runner.timestamp)):
        return f'{done} iterations are done, there is no checkpoint yet: start again.'
    return (
        f'{done} iterations are done, last checkpoint: {checkpoint}. Go on with: '
        f'{_resuming_command(argv, resume)}'
    )


def _is_newer(checkpoint: str, timestamp: str) -> bool:
    """Whether a checkpoint is of this run and not of an earlier one in the same folder."""
    return (
        Path(checkpoint).stat().st_mtime
        >= datetime.strptime(timestamp, '%Y%m%d_%H%M%S').timestamp()
    )


def _resuming_command(argv: Sequence[str], resume: str | None) -> str:
    if is_distributed():  # of the launcher's options nothing is known
        return 'the same command, with --resume at its end and without another --resume'
    script, *options = argv
    for i, option in enumerate(options):
        if option.startswith('--resume'):
            has_value = option == '--resume' and options[i + 1 : i + 2] == [resume]
            del options[i : i + 1 + has_value]
            break
    return shlex.join([*_program(script), *options, '--resume'])


def _program(script: str) -> list[str]:
    """How the program is called that Python runs as ``script``."""
    name = Path(script).name
    if name == '__main__.py':
        return ['python', '-m', Path(script).parent.name]
    return [name] if name == CONSOLE_SCRIPT else ['python', script]
