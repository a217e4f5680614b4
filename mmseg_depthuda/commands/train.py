# Licensed under the Apache License 2.0, see LICENSE.
"""Train a segmentor."""

from __future__ import annotations

import argparse
import sys

from .arguments import CONFIG, add_run_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
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


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status
    from mmseg_depthuda.apps.stopped_training import StopHook, how_to_go_on
    from mmseg_depthuda.engine.launch import (
        QuietRunner,
        load_config,
        resume_from,
        use_mixed_precision,
    )

    runners: list[QuietRunner] = []

    def work() -> None:
        cfg = load_config(args)
        if args.amp:
            use_mixed_precision(cfg)
        resume_from(cfg, args.resume)
        runners.append(QuietRunner.from_cfg(cfg))
        runners[0].register_hook(StopHook())
        runners[0].train()

    def advice() -> str:
        if not runners:
            return 'Training had not begun.'
        return how_to_go_on(runners[0], sys.argv, args.resume)

    return exit_status('train', work, advice)
