# Licensed under the Apache License 2.0, see LICENSE.
"""Draw depth files beside their images: ``python tools/depth/show_depth.py -h``."""

import argparse
import sys
from pathlib import Path

import cv2

from mmseg_depthuda.apps.depth_prediction.depth_sheet import SUFFIXES, depth_sheet
from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.fileio import atomic_write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw some images of a folder with the depth that training will read, and say '
        'how many meters it is; see docs/own_depth.md.'
    )
    parser.add_argument('images', help='folder of images, with subfolders')
    parser.add_argument('depth', help='folder of depth files, named as the images')
    parser.add_argument('out', type=Path, help='picture to write, .png')
    parser.add_argument(
        '--depth-file',
        choices=sorted(SUFFIXES),
        default='mat_metres',
        help='kind of the depth files: what stereo_depth.py writes is mat_metres (the default), '
        'what predict_depth.py writes png_disparity',
    )
    parser.add_argument('--count', type=int, default=4, help='number of images (4)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    sheet, summary = depth_sheet(args.images, args.depth, args.depth_file, args.count)
    with atomic_write(args.out) as file:
        file.write(cv2.imencode('.png', sheet[..., ::-1])[1].tobytes())
    print(f'{summary}. Picture: {args.out}')


if __name__ == '__main__':
    sys.exit(exit_status('show_depth', main))
