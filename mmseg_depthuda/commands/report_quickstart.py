# Licensed under the Apache License 2.0, see LICENSE.
"""Compare trained runs: a table, ``summary.json`` and ``report.png``. The end of the quickstart."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmseg_depthuda.apps.comparison.quickstart_report import TrainedRun


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def find_run(folder: Path, name: str, config: str) -> TrainedRun:
    from mmseg_depthuda.apps.comparison.quickstart_report import TrainedRun
    from mmseg_depthuda.engine.launch import find_config
    from mmseg_depthuda.fileio import latest_checkpoint

    checkpoint = latest_checkpoint(folder / name)
    if checkpoint is None:
        raise FileNotFoundError(
            f'{folder / name} holds no checkpoint; train {config} into it first'
        )
    return TrainedRun(name, find_config(config), Path(checkpoint))


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('quickstart_report', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.comparison.comparison_tables import comparison_table
    from mmseg_depthuda.apps.comparison.quickstart_report import (
        draw_report,
        evaluate,
        training_seconds,
        write_summary,
    )
    from mmseg_depthuda.apps.comparison.run_results import ComparedRun

    runs = [find_run(args.folder, name, config) for name, config in args.run]
    metrics = {run.name: evaluate(run, args.folder / run.name / 'test') for run in runs}
    minutes = training_seconds(*(args.folder / run.name for run in runs)) / 60
    write_summary(args.folder / 'summary.json', metrics, minutes)
    draw_report(runs, args.folder / 'report.png', photographs=args.photographs)
    print(comparison_table([ComparedRun(name, [values]) for name, values in metrics.items()]))
    print(f'{args.folder / "summary.json"} and {args.folder / "report.png"} are written.')
