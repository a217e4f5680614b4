# Licensed under the Apache License 2.0, see LICENSE.
"""Evaluate a checkpoint: ``python tools/test.py CONFIG CHECKPOINT``."""

import argparse
import sys

from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import (
    add_run_arguments,
    existing_checkpoint,
    load_config,
    save_predictions,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a segmentor')
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='folder for the predictions as label PNGs')
    parser.add_argument('--show-dir', help='folder for painted predictions')
    parser.add_argument('--show', action='store_true', help='show painted predictions')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    add_run_arguments(parser)
    return parser.parse_args()


def apply_test_options(cfg: Config, args: argparse.Namespace) -> None:
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


def main() -> None:
    args = parse_args()
    cfg = load_config(args)
    apply_test_options(cfg, args)
    Runner.from_cfg(cfg).test()


if __name__ == '__main__':
    sys.exit(exit_status('test', main))
