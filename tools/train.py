# Licensed under the Apache License 2.0, see LICENSE.
"""Train a segmentor: ``python tools/train.py CONFIG``."""

import argparse
import sys

from mmengine.runner import Runner

from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import (
    add_run_arguments,
    load_config,
    resume_from,
    use_mixed_precision,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a segmentor')
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from a checkpoint; without a value (or with `auto`) from the latest in the '
        'work dir, or from the start if it has none',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    add_run_arguments(parser)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    if args.amp:
        use_mixed_precision(cfg)
    resume_from(cfg, args.resume)
    Runner.from_cfg(cfg).train()


if __name__ == '__main__':
    sys.exit(exit_status('train', main))
