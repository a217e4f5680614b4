# Licensed under the Apache License 2.0, see LICENSE.
"""Draw depth files beside their images; see docs/own_depth.md.

The depth is what training will read; it says how many meters it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

DEPTH_FILES = ('mat_metres', 'png_centimetres', 'png_disparity')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('images', help='folder of images, with subfolders')
    parser.add_argument('depth', help='folder of depth files, named as the images')
    parser.add_argument('out', type=Path, help='picture to write, .png')
    parser.add_argument(
        '--depth-file',
        choices=DEPTH_FILES,
        default='mat_metres',
        help='kind of the depth files: what `depth stereo` writes is mat_metres (the default), '
        'what `depth predict` writes png_disparity',
    )
    parser.add_argument('--count', type=int, default=4, help='number of images (4)')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('show_depth', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import cv2

    from mmseg_depthuda.apps.depth_prediction.depth_sheet import depth_sheet
    from mmseg_depthuda.fileio import atomic_write

    sheet, summary = depth_sheet(args.images, args.depth, args.depth_file, args.count)
    with atomic_write(args.out) as file:
        file.write(cv2.imencode('.png', sheet[..., ::-1])[1].tobytes())
    print(f'{summary}. Picture: {args.out}')
