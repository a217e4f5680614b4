# Licensed under the Apache License 2.0, see LICENSE.
"""Put trained runs side by side: IoU per class, difference to a baseline, and curves.

A run is named by its work dir; several seeds of one method are separated by commas, of which mean
and standard deviation are shown. --best mIoU adds the best checkpoint of each run beside the last.

Example:
    python tools/analysis_tools/compare_runs.py dacs=work_dirs/dacs corda=work_dirs/s1,work_dirs/s2
"""

import argparse
import sys
from pathlib import Path

from mmseg_depthuda.apps.comparison.comparison_pictures import draw_classes, draw_curves
from mmseg_depthuda.apps.comparison.comparison_tables import (
    best_checkpoints,
    comparison_table,
    write_table,
)
from mmseg_depthuda.apps.comparison.run_results import ComparedRun, read_run
from mmseg_depthuda.apps.exit_status import exit_status


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
        'that evaluate_checkpoints.py has evaluated, or that the training has validated',
    )
    parser.add_argument(
        '--out', type=Path, help='folder for comparison.csv, classes.png and curves.png'
    )
    return parser.parse_args(argv)


def parse_run(argument: str) -> ComparedRun:
    name, equals, work_dirs = argument.partition('=')
    if not equals:
        return read_run(Path(argument).name, [argument])
    return read_run(name, work_dirs.split(','))


def with_best(runs: list[ComparedRun], metric: str) -> tuple[list[ComparedRun], str]:
    """Runs, each followed by its best checkpoint, and what to know about these."""
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


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
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


if __name__ == '__main__':
    sys.exit(exit_status('compare_runs', main))
