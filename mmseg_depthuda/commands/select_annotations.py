# Licensed under the Apache License 2.0, see LICENSE.
"""Choose the images that are worth labeling from a pool of images without labels, in steps.

docs/select_annotations.md says how.
"""

from __future__ import annotations

import argparse

from .arguments import CONFIG, add_config_options, add_device, positive_integer

STRATEGIES = {
    'combined': 'images that differ, and on which the student is wrong',
    'diversity': 'images that differ',
    'uncertainty': 'images on which the depth of the student is wrong',
    'entropy': 'images on which the student is unsure of the classes',
    'random': 'any images',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=f"of the student's training on the pool: {CONFIG}")
    parser.add_argument('out', help='folder to write to; the steps that it holds are kept')
    parser.add_argument(
        '--steps',
        type=positive_integer,
        nargs='+',
        required=True,
        help='numbers of images, increasing, as 25 50 100; each step includes those before',
    )
    parser.add_argument(
        '--strategy',
        choices=STRATEGIES,
        default='combined',
        help='; '.join(f'{name}: {says}' for name, says in STRATEGIES.items()),
    )
    parser.add_argument('--seed', type=int, default=42, help='of what is random (42)')
    parser.add_argument('--workers', type=int, default=2, help='processes that read images (2)')
    add_device(parser)
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('select_annotations', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmseg.utils import register_all_modules

    from mmseg_depthuda.apps.annotation_selection.selection_steps import select_annotations
    from mmseg_depthuda.apps.checked_model import usable_device
    from mmseg_depthuda.engine.launch import read_config

    cfg = read_config(args.config, args.cfg_options, also_read=['selection_network'])
    register_all_modules()
    steps = select_annotations(
        cfg,
        args.out,
        args.steps,
        strategy=args.strategy,
        seed=args.seed,
        device=usable_device(args.device),
        workers=args.workers,
    )
    for step in steps:
        state = 'chosen' if step.is_new else 'chosen before'
        print(f'{step.count} images {state}: {step.listed}, pictures: {step.sheet}')
