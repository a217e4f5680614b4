# Licensed under the Apache License 2.0, see LICENSE.
"""Time and peak memory of a self-training iteration: ``benchmark_training.py CONFIG``.

Beside the package's iteration it measures, in the same run and in turn, a naive iteration as
research releases write it. See docs/speed.md.
"""

import argparse
import json
import re
import sys
from pathlib import Path

from mmseg_depthuda.apps.benchmarking import BenchmarkOptions, benchmark_training, format_report
from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import Overrides, find_config, read_config


def height_and_width(text: str) -> tuple[int, int]:
    """Parse ``HxW``."""
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form HxW, as in 512x1024')
    return int(match.group(1)), int(match.group(2))


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure a self-training iteration')
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
    parser.add_argument('--iters', type=int, default=5, help='measured iterations per variant')
    parser.add_argument('--warmup', type=int, default=1, help='iterations per variant before')
    parser.add_argument('--batch-size', type=int, default=2, help='images per domain')
    data = parser.add_mutually_exclusive_group()
    data.add_argument(
        '--size',
        type=height_and_width,
        default=(512, 512),
        metavar='HxW',
        help='size of the random images',
    )
    data.add_argument(
        '--real-data',
        action='store_true',
        help="read the config's datasets, and time the waiting for them",
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision (CUDA)')
    parser.add_argument(
        '--no-memory',
        action='store_true',
        help='on the CPU, leave out the two child processes that measure peak memory',
    )
    parser.add_argument('--out', type=Path, metavar='JSON', help='file to write the report to')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, help='override settings of the config'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    path = find_config(args.config)
    cfg = read_config(path, args.cfg_options)
    options = BenchmarkOptions(
        iters=args.iters,
        warmup=args.warmup,
        batch_size=args.batch_size,
        size=args.size,
        real_data=args.real_data,
        amp=args.amp,
        memory=not args.no_memory,
    )
    report = dict(config=path.name, **benchmark_training(cfg, options))
    print(format_report(report))
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
    sys.exit(exit_status('benchmark_training', main))
