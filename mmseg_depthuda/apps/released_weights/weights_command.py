# Licensed under the Apache License 2.0, see LICENSE.
"""What the command lines of ``tools/model_converters`` share."""

import argparse
from collections.abc import Callable, Sequence

from mmseg_depthuda.apps.exit_status import COMPLETE, exit_status


def run_converter(
    convert: Callable[..., str],
    description: str,
    source: str,
    target: str,
    args: Sequence[str] | None = None,
    with_teacher: bool = False,
) -> int:
    """Parse ``IN OUT``, convert, and print the report.

    Args:
        convert (Callable): Converter of :mod:`mmseg_depthuda.apps.released_weights`.
        description (str): What it does, for ``--help``.
        source (str): What IN is.
        target (str): What OUT is.
        args (Sequence[str], optional): Arguments. Defaults to those of the process.
        with_teacher (bool): Offer ``--weights student|teacher``. Defaults to False.

    Returns:
        int: Exit status. If the file cannot be converted, nothing is written.
    """
    parser = argparse.ArgumentParser(description=f'{description} See docs/weights.md.')
    parser.add_argument('source', metavar='IN', help=source)
    parser.add_argument('target', metavar='OUT', help=target)
    if with_teacher:
        parser.add_argument(
            '--weights',
            choices=['student', 'teacher'],
            default='student',
            help='which weights become the state_dict (default: student, as published; the teacher '
            'then goes along as ema_state_dict)',
        )
    options = vars(parser.parse_args(args))

    def convert_and_report() -> int:
        print(convert(**options))
        return COMPLETE

    return exit_status(convert.__name__, convert_and_report)
