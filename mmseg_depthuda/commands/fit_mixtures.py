# Licensed under the Apache License 2.0, see LICENSE.
"""Fit the depth mixtures of a config's source; see docs/depth_distribution.md.

For every class a mixture of Gaussians over column, row and depth, on the feature grid of its
network.
"""

from __future__ import annotations

import argparse

from .arguments import CONFIG, add_config_options, positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument('out', help='JSON file to write')
    parser.add_argument('--components', type=positive_integer, default=5, help='per class (5)')
    parser.add_argument(
        '--samples', type=positive_integer, default=100_000, help='most per class (100000)'
    )
    parser.add_argument(
        '--images', type=positive_integer, help='read this many, evenly spread (default: all)'
    )
    parser.add_argument(
        '--starts', type=positive_integer, default=5, help='fits per class, the best is kept (5)'
    )
    parser.add_argument('--seed', type=int, default=0, help='of samples and starts (0)')
    parser.add_argument('--workers', type=positive_integer, default=2, help='processes (2)')
    parser.add_argument(
        '--missing-depth',
        choices=['drop', 'component'],
        default='drop',
        help='pixels of depth 0 m: leave them out (default), or give them a component',
    )
    parser.add_argument(
        '--skip-missing-classes',
        action='store_true',
        help='leave classes with too few samples without mixture instead of stopping',
    )
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('fit_depth_mixtures', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules
    from rich.console import Console
    from rich.table import Table

    from mmseg_depthuda.apps.depth_mixtures import draw_class_samples, fit_depth_mixtures
    from mmseg_depthuda.datasets import source_dataset_config
    from mmseg_depthuda.datasets.depth_mixture_files import save_mixtures
    from mmseg_depthuda.engine.launch import read_config

    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    drawn = draw_class_samples(
        DATASETS.build(source_dataset_config(cfg)),
        cfg.model,
        cap=args.samples,
        seed=args.seed,
        workers=args.workers,
        images=args.images,
    )
    report = fit_depth_mixtures(
        drawn,
        args.components,
        seed=args.seed,
        starts=args.starts,
        workers=args.workers,
        missing_depth=args.missing_depth,
        skip_missing_classes=args.skip_missing_classes,
    )
    save_mixtures(args.out, report.mixtures, report.meta)
    height, width = report.meta.grid
    table = Table('class', 'pixels', 'samples', 'log-likelihood', title=f'Grid {width}x{height}')
    columns = report.meta.classes, report.meta.pixels, report.meta.samples, report.log_likelihood
    for name, pixels, samples, score in zip(*columns, strict=True):
        table.add_row(name, str(pixels), str(samples), f'{score:.3f}')
    Console().print(table)
    print(f'Wrote {args.out}.')
