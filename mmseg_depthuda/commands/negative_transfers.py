# Licensed under the Apache License 2.0, see LICENSE.
"""Negative transfer: on how many images of the target does adaptation do harm?

Compares the per-image scores that two tests have written. Several seeds of one method are
separated by commas, of which mean and standard deviation are shown.

Example:
    mmseg-depthuda test CONFIG CHECKPOINT \\
        --cfg-options test_evaluator.per_image_scores=source_only.csv
    mmseg-depthuda analyze negative-transfer source_only.csv dacs=dacs.csv corda=a.csv,b.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmseg_depthuda.apps.comparison.transfers import AdaptedNetwork


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'baseline',
        metavar='BASELINE_SCORES',
        help='CSV file of the network before adaptation, or one per seed, separated by commas',
    )
    parser.add_argument(
        'adapted',
        nargs='+',
        metavar='ADAPTED_SCORES',
        help='NAME=FILE[,FILE...] with a CSV file per seed, or FILE, whose stem is then the name',
    )
    parser.add_argument('--out', type=Path, help='scatter plot to write, before and after')


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.out and args.out.suffix not in ('.png', '.pdf', '.svg', '.jpg'):
        parser.error(f'--out must end in .png, .pdf, .svg or .jpg, got {args.out}')


def parse_adapted(argument: str, baselines: list[str]) -> AdaptedNetwork:
    from mmseg_depthuda.apps.comparison.transfers import read_adapted

    name, equals, files = argument.partition('=')
    if not equals:
        return read_adapted(Path(argument).stem, baselines, [argument])
    return read_adapted(name, baselines, files.split(','))


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('negative_transfer', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.comparison.transfers import draw_transfers, transfer_table

    networks = [parse_adapted(one, args.baseline.split(',')) for one in args.adapted]
    print(transfer_table(networks))
    if args.out is not None:
        draw_transfers(args.out, networks)
        print(f'Scatter plot: {args.out}')
