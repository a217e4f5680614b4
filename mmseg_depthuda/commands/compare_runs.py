# Licensed under the Apache License 2.0, see LICENSE.
"""Put trained runs side by side: IoU per class, difference to a baseline, and curves.

A run is named by its work dir; several seeds of one method are separated by commas, of which mean
and standard deviation are shown. --best mIoU adds the best checkpoint of each run beside the last.

Example:
    mmseg-depthuda analyze runs dacs=work_dirs/dacs corda=work_dirs/s1,work_dirs/s2
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmseg_depthuda.apps.comparison.run_results import ComparedRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='NAME=WORK_DIR[,WORK_DIR...] with a work dir per seed, or WORK_DIR, whose last part '
        'is then the name',
    )
    parser.add_argument('--baseline', metavar='NAME', help='run to subtract; default: the first')
    parser.add_argument(
        '--best',
        metavar='METRIC',
        help='also show the best checkpoint of each run by this metric, such as mIoU: of those '
        'that `analyze checkpoints` has evaluated, or that the training has validated',
    )
    parser.add_argument(
        '--out', type=Path, help='folder for comparison.csv, classes.png and curves.png'
    )


def parse_run(argument: str) -> ComparedRun:
    from mmseg_depthuda.apps.comparison.run_results import read_run

    name, equals, work_dirs = argument.partition('=')
    if not equals:
        return read_run(Path(argument).name, [argument])
    return read_run(name, work_dirs.split(','))


def with_best(runs: list[ComparedRun], metric: str) -> tuple[list[ComparedRun], str]:
    """Runs, each followed by its best checkpoint, and what to know about these."""
    from mmseg_depthuda.apps.comparison.comparison_tables import best_checkpoints

    shown, lines = [], []
    for run in runs:
        best, iterations = best_checkpoints(run, metric)
        shown += [run, best]
        lines.append(f'{best.name}: iteration {", ".join(map(str, iterations))}')
    lines.append(
        f'The best checkpoints are chosen by {metric} on the very images that they are measured '
        'on: optimistic. The column before each is the latest test or the last validation.'
    )
    return shown, '\n'.join(lines)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('compare_runs', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.comparison.comparison_pictures import draw_classes, draw_curves
    from mmseg_depthuda.apps.comparison.comparison_tables import comparison_table, write_table

    runs = [parse_run(argument) for argument in args.runs]
    shown, note = with_best(runs, args.best) if args.best else (runs, '')
    print(comparison_table(shown, args.baseline))
    if note:
        print(note)
    if args.out is None:
        return
    write_table(args.out / 'comparison.csv', shown, args.baseline)
    draw_classes(args.out / 'classes.png', shown)
    draw_curves(args.out / 'curves.png', runs)
    print(f'Table and pictures are in {args.out}.')
