# Licensed under the Apache License 2.0, see LICENSE.
"""Count class pixels of the source, for rare-class sampling and balanced weights."""

from __future__ import annotations

import argparse

from .arguments import CONFIG, add_config_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument('out', help='JSON file to write')
    parser.add_argument(
        '--class-weights', metavar='WEIGHTS.json', help='also write balanced weights of the classes'
    )
    parser.add_argument('--workers', type=int, default=2, help='processes (default: 2)')
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('class_statistics', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules

    from mmseg_depthuda.datasets import (
        source_dataset_config,
        write_class_statistics,
        write_class_weights,
    )
    from mmseg_depthuda.engine.launch import read_config

    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    dataset = DATASETS.build(source_dataset_config(cfg))
    write_class_statistics(dataset, args.out, args.workers)
    print(f'\nWrote {args.out}.')
    if args.class_weights:
        write_class_weights(args.out, args.class_weights)
        print(f'Wrote {args.class_weights}.')
