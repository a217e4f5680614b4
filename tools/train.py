# Licensed under the Apache License 2.0, see LICENSE.
"""Train a segmentor: ``python tools/train.py CONFIG``."""

import argparse
import sys

from mmengine.runner import Runner

from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.apps.stopped_training import StopHook, how_to_go_on
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


class Training:
    """A run of this command line, which can be asked how to go on when it was stopped."""

    def __init__(self) -> None:
        self.runner = self.resume = None

    def run(self) -> None:
        args = parse_args()
        self.resume = args.resume
        cfg = load_config(args)
        if args.amp:
            use_mixed_precision(cfg)
        resume_from(cfg, args.resume)
        self.runner = Runner.from_cfg(cfg)
        self.runner.register_hook(StopHook())
        self.runner.train()

    def how_to_go_on(self) -> str:
        if self.runner is None:
            return 'Training had not begun.'
        return how_to_go_on(self.runner, sys.argv, self.resume)


if __name__ == '__main__':
    training = Training()
    sys.exit(exit_status('train', training.run, training.how_to_go_on))
