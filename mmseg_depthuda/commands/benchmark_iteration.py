# Licensed under the Apache License 2.0, see LICENSE.
"""Measure time and peak memory of a self-training iteration; see docs/speed.md.

Beside it a naive iteration is measured, in the same run and in turn, as releases write it.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from .arguments import CONFIG, add_config_options


def height_and_width(text: str) -> tuple[int, int]:
    """Parse ``HxW``."""
    match = re.fullmatch(r'(\d+)x(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form HxW, as in 512x1024')
    return int(match.group(1)), int(match.group(2))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
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
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('benchmark_training', lambda: work(args))


def work(args: argparse.Namespace) -> None:

    from mmseg_depthuda.apps.benchmarking import BenchmarkOptions, benchmark_training, format_report
    from mmseg_depthuda.engine.launch import find_config, read_config

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
