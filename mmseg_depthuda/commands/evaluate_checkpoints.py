# Licensed under the Apache License 2.0, see LICENSE.
"""Test every checkpoint of a training: which is the best, and how far is it from the last?

Model and data are built once. What has been evaluated is kept in checkpoint_metrics.json beside
the checkpoints and left out the next time.

Example:
    mmseg-depthuda analyze checkpoints CONFIG work_dirs/my_run
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import CONFIG, add_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument(
        'checkpoints',
        nargs='+',
        metavar='WORK_DIR_OR_CHECKPOINT',
        help='work dir of the training, for every iter_*.pth in it, or checkpoint files',
    )
    parser.add_argument(
        '--metric', default='mIoU', help='by which the best one is chosen; default: %(default)s'
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='FILE',
        help='JSON file of the results, with a picture of the same name beside it; default: '
        'checkpoint_metrics.json beside the checkpoints, where `analyze runs` --best finds it',
    )
    add_run_arguments(parser)


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.out is not None and args.out.suffix != '.json':
        parser.error(f'--out must end in .json, got {args.out}')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('evaluate_checkpoints', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmengine.dist import is_main_process

    from mmseg_depthuda.apps.comparison.checkpoint_scores import (
        CHECKPOINT_METRICS,
        evaluate_checkpoints,
        find_checkpoints,
        sign_of_better,
    )
    from mmseg_depthuda.apps.comparison.comparison_pictures import draw_checkpoints
    from mmseg_depthuda.apps.comparison.comparison_tables import checkpoint_table
    from mmseg_depthuda.engine.launch import load_config

    sign_of_better(args.metric)  # before the work
    checkpoints = find_checkpoints(args.checkpoints)
    folder = next(iter(checkpoints.values())).parent
    out = args.out or folder / CHECKPOINT_METRICS
    args.work_dir = args.work_dir or str(folder / 'evaluated_checkpoints')
    metrics = evaluate_checkpoints(load_config(args), checkpoints, out)
    table = checkpoint_table(metrics, args.metric)
    if not is_main_process():
        return
    print(table)
    draw_checkpoints(out.with_suffix('.png'), metrics, args.metric)
    print(f'Results: {out}, picture: {out.with_suffix(".png")}')
