# Licensed under the Apache License 2.0, see LICENSE.
"""Write pseudo depth for a folder of images.

16-bit PNGs in CorDA's disparity encoding, which the datasets load.
"""

from __future__ import annotations

import argparse

from .arguments import add_device

SCALES = ('metric', 'normalized')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config of a model that predicts depth')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('images', help='folder of images, with subfolders')
    parser.add_argument('out', help='folder to write to; existing files are kept')
    parser.add_argument(
        '--scale',
        choices=SCALES,
        help='metric: depth in meters; normalized: smallest to largest value of each image, for '
        'networks whose unit is unknown. Default: normalized for networks trained on video alone',
    )
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('predict_depth', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.checked_model import usable_device
    from mmseg_depthuda.apps.depth_prediction.prediction import predict_folder
    from mmseg_depthuda.engine.launch import find_config

    predicted, skipped = predict_folder(
        find_config(args.config),
        args.checkpoint,
        args.images,
        args.out,
        usable_device(args.device),
        args.scale,
    )
    print(f'\n{predicted} images predicted, {skipped} were there already: {args.out}')
