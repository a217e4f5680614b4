# Licensed under the Apache License 2.0, see LICENSE.
"""Evaluate a checkpoint."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .arguments import CONFIG, add_run_arguments

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='folder for the predictions as label PNGs')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument('--show', action='store_true', help='show painted predictions')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_run_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status
    from mmseg_depthuda.engine.launch import QuietRunner, load_config

    def work() -> None:
        cfg = load_config(args)
        apply_test_options(cfg, args)
        QuietRunner.from_cfg(cfg).test()

    return exit_status('test', work)


def apply_test_options(cfg: Config, args: argparse.Namespace) -> None:
    from mmseg_depthuda.engine.launch import existing_checkpoint, save_predictions

    cfg.load_from = existing_checkpoint(args.checkpoint)
    if args.show or args.show_dir:
        cfg.default_hooks.visualization.update(draw=True, show=args.show)
        if args.show_dir:
            cfg.visualizer.save_dir = args.show_dir
    if args.tta:
        if 'tta_pipeline' not in cfg or 'tta_model' not in cfg:
            raise ValueError(f'--tta needs tta_model and tta_pipeline, which {args.config} lacks')
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
        cfg.model = dict(cfg.tta_model, module=cfg.model)
    if args.out:
        save_predictions(cfg, args.out)
