# Licensed under the Apache License 2.0, see LICENSE.
"""Write pseudo depth for a folder of images: ``python tools/depth/predict_depth.py -h``."""

import argparse
import sys

from mmseg_depthuda.apps.checked_model import default_device, existing_device
from mmseg_depthuda.apps.depth_prediction.prediction import SCALES, predict_folder
from mmseg_depthuda.apps.exit_status import exit_status, same_command
from mmseg_depthuda.engine.launch import find_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Predict the depth of every image of a folder and write it as 16-bit PNGs in '
        "CorDA's disparity encoding, which the datasets load."
    )
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
    parser.add_argument('--device', type=existing_device, default=default_device())
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    predicted, skipped = predict_folder(
        find_config(args.config),
        args.checkpoint,
        args.images,
        args.out,
        args.device,
        args.scale,
    )
    print(f'\n{predicted} images predicted, {skipped} were there already: {args.out}')


if __name__ == '__main__':
    sys.exit(exit_status('predict_depth', main, same_command))
