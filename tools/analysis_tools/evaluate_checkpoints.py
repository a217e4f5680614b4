# Licensed under the Apache License 2.0, see LICENSE.
"""Test every checkpoint of a training: which is the best, and how far is it from the last?

Model and data are built once. What has been evaluated is kept in checkpoint_metrics.json beside
the checkpoints and left out the next time.

Example:
    python tools/analysis_tools/evaluate_checkpoints.py CONFIG work_dirs/my_run
"""

import argparse
import sys
from pathlib import Path

from mmengine.dist import is_main_process

from mmseg_depthuda.apps.comparison.checkpoint_scores import (
    CHECKPOINT_METRICS,
    evaluate_checkpoints,
    find_checkpoints,
    sign_of_better,
)
from mmseg_depthuda.apps.comparison.comparison_pictures import draw_checkpoints
from mmseg_depthuda.apps.comparison.comparison_tables import checkpoint_table
from mmseg_depthuda.apps.exit_status import exit_status, same_command
from mmseg_depthuda.engine.launch import add_run_arguments, load_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
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
        f'{CHECKPOINT_METRICS} beside the checkpoints, where compare_runs.py --best finds it',
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)
    if args.out is not None and args.out.suffix != '.json':
        parser.error(f'--out must end in .json, got {args.out}')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    sign_of_better(args.metric)  # before the work
    checkpoints = find_checkpoints(args.checkpoints)
    folder = next(iter(checkpoints.values())).parent
    out = args.out or folder / CHECKPOINT_METRICS
    # Not the work dir itself, where compare_runs.py takes the latest test for the result.
    args.work_dir = args.work_dir or str(folder / 'evaluated_checkpoints')
    metrics = evaluate_checkpoints(load_config(args), checkpoints, out)
    table = checkpoint_table(metrics, args.metric)
    if not is_main_process():
        return
    print(table)
    draw_checkpoints(out.with_suffix('.png'), metrics, args.metric)
    print(f'Results: {out}, picture: {out.with_suffix(".png")}')


if __name__ == '__main__':
    sys.exit(exit_status('evaluate_checkpoints', main, same_command))
