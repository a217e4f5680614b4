# Licensed under the Apache License 2.0, see LICENSE.
"""Compare trained runs: a table, ``summary.json`` and ``report.png``. The end of the quickstart."""

import argparse
import sys
from pathlib import Path

from mmseg_depthuda.apps.comparison.comparison_tables import comparison_table
from mmseg_depthuda.apps.comparison.quickstart_report import (
    TrainedRun,
    draw_report,
    evaluate,
    training_seconds,
    write_summary,
)
from mmseg_depthuda.apps.comparison.run_results import ComparedRun
from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import find_config
from mmseg_depthuda.fileio import latest_checkpoint


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, help='holds one work dir per run; gets the report')
    parser.add_argument(
        '--run',
        nargs=2,
        action='append',
        required=True,
        metavar=('NAME', 'CONFIG'),
        help='work dir within the folder, and the config trained there',
    )
    parser.add_argument(
        '--photographs',
        type=Path,
        metavar='FOLDER',
        help='a few pictures of FOLDER/images are segmented below the validation images',
    )
    return parser.parse_args()


def find_run(folder: Path, name: str, config: str) -> TrainedRun:
    checkpoint = latest_checkpoint(folder / name)
    if checkpoint is None:
        raise FileNotFoundError(
            f'{folder / name} holds no checkpoint; train {config} into it first'
        )
    return TrainedRun(name, find_config(config), Path(checkpoint))


def main() -> None:
    args = parse_args()
    runs = [find_run(args.folder, name, config) for name, config in args.run]
    metrics = {run.name: evaluate(run, args.folder / run.name / 'test') for run in runs}
    minutes = training_seconds(*(args.folder / run.name for run in runs)) / 60
    write_summary(args.folder / 'summary.json', metrics, minutes)
    draw_report(runs, args.folder / 'report.png', photographs=args.photographs)
    print(comparison_table([ComparedRun(name, [values]) for name, values in metrics.items()]))
    print(f'{args.folder / "summary.json"} and {args.folder / "report.png"} are written.')


if __name__ == '__main__':
    sys.exit(exit_status('quickstart_report', main))
