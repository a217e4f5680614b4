# Licensed under the Apache License 2.0, see LICENSE.
"""Negative transfer: on how many images of the target does adaptation do harm?

Compares the per-image scores that two tests have written. Several seeds of one method are
separated by commas, of which mean and standard deviation are shown.

Example:
    python tools/test.py CONFIG CHECKPOINT \
        --cfg-options test_evaluator.per_image_scores=source_only.csv
    python tools/analysis_tools/negative_transfer.py source_only.csv dacs=dacs.csv corda=a.csv,b.csv
"""

import argparse
import sys
from pathlib import Path

from mmseg_depthuda.apps.comparison.transfers import (
    AdaptedNetwork,
    draw_transfers,
    read_adapted,
    transfer_table,
)
from mmseg_depthuda.apps.exit_status import exit_status


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    args = parser.parse_args(argv)
    if args.out and args.out.suffix not in ('.png', '.pdf', '.svg', '.jpg'):
        parser.error(f'--out must end in .png, .pdf, .svg or .jpg, got {args.out}')
    return args


def parse_adapted(argument: str, baselines: list[str]) -> AdaptedNetwork:
    name, equals, files = argument.partition('=')
    if not equals:
        return read_adapted(Path(argument).stem, baselines, [argument])
    return read_adapted(name, baselines, files.split(','))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    networks = [parse_adapted(one, args.baseline.split(',')) for one in args.adapted]
    print(transfer_table(networks))
    if args.out is not None:
        draw_transfers(args.out, networks)
        print(f'Scatter plot: {args.out}')


if __name__ == '__main__':
    sys.exit(exit_status('negative_transfer', main))
