# Licensed under the Apache License 2.0, see LICENSE.
"""Choose images to label: ``python tools/select_annotations.py -h``."""

import argparse
import sys

from mmengine.config import Config
from mmseg.utils import register_all_modules

from mmseg_depthuda.apps.annotation_selection.selection_steps import (
    STRATEGIES,
    select_annotations,
)
from mmseg_depthuda.apps.checked_model import default_device, existing_device
from mmseg_depthuda.apps.exit_status import exit_status, positive_integer, same_command
from mmseg_depthuda.engine.launch import Overrides, find_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Choose the images that are worth labeling from a pool of images without '
        'labels, in steps; see docs/select_annotations.md.'
    )
    parser.add_argument('config', help="config of the student's training on the pool")
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
        help='; '.join(f'{name}: {one.says}' for name, one in STRATEGIES.items()),
    )
    parser.add_argument('--seed', type=int, default=42, help='of what is random (42)')
    parser.add_argument('--workers', type=int, default=2, help='processes that read images (2)')
    parser.add_argument(
        '--device',
        type=existing_device,
        default=default_device(),
        help='of the passes over the pool; students are trained on the GPU if there is one',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, help='override settings of the config'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(find_config(args.config))
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    register_all_modules()
    steps = select_annotations(
        cfg,
        args.out,
        args.steps,
        strategy=args.strategy,
        seed=args.seed,
        device=args.device,
        workers=args.workers,
    )
    for step in steps:
        state = 'chosen' if step.is_new else 'chosen before'
        print(f'{step.count} images {state}: {step.listed}, pictures: {step.sheet}')


if __name__ == '__main__':
    sys.exit(exit_status('select_annotations', main, same_command))
