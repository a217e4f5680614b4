# Licensed under the Apache License 2.0, see LICENSE.
"""Write depth of rectified stereo pairs for training; see docs/stereo_depth.md.

Existing depth files are kept, so that an interrupted run goes on. Exit status: 0 every pair has
depth, 1 some were skipped, 2 not finished, 130 or 143 stopped. Defaults in parentheses.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import positive_integer

CITYSCAPES_KINDS = ('official', 'stereo')
FOLDER_KINDS = ('mat_metres', 'png_disparity')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cityscapes = parser.add_argument_group('Cityscapes')
    cityscapes.add_argument(
        'root', nargs='?', help='folder with leftImg8bit, rightImg8bit and camera'
    )
    cityscapes.add_argument('--splits', nargs='+', help='(train val)')
    cityscapes.add_argument(
        '--kinds', nargs='+', choices=CITYSCAPES_KINDS, help='depth files (stereo)'
    )
    folders = parser.add_argument_group('folders of your own')
    folders.add_argument('--left', metavar='FOLDER', help='left images')
    folders.add_argument('--right', metavar='FOLDER', help='right images, of the same names')
    folders.add_argument('--fx', type=float, help='focal length in pixels')
    folders.add_argument('--baseline', type=float, help='distance of the cameras in meters')
    folders.add_argument('--camera', metavar='FILE', help='JSON file as of Cityscapes instead')
    folders.add_argument(
        '--depth-file', choices=FOLDER_KINDS, help='kind of the depth files (mat_metres)'
    )
    matching = parser.add_argument_group('matching')
    matching.add_argument(
        '--nearest',
        type=float,
        help='meters to the nearest thing in sight (3)',
    )
    matching.add_argument(
        '--max-disparity', type=float, help='largest disparity in pixels, instead of --nearest'
    )
    matching.add_argument(
        '--min-disparity',
        type=float,
        help='smallest disparity that is measured, in pixels (0.75)',
    )
    matching.add_argument(
        '--block-size', type=int, help='odd matching window (3; 5 for images from 1024 wide)'
    )
    matching.add_argument('--no-inpainting', action='store_true', help='leave gaps open')
    parser.add_argument(
        '--no-pair-check',
        dest='pair_check',
        action='store_false',
        help='match pairs even if they do not look rectified',
    )
    parser.add_argument(
        '--out', metavar='FOLDER', help='where to write (Cityscapes: the same root)'
    )
    parser.add_argument('--workers', type=positive_integer, default=2, help='processes (2)')
    parser.add_argument('--report', type=Path, metavar='FILE', help='JSON report')


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    own = ('left', 'right', 'fx', 'baseline', 'camera', 'depth_file')
    given = [f'--{name.replace("_", "-")}' for name in own if getattr(args, name) is not None]
    if args.root is not None:
        if given:
            parser.error(f'{", ".join(given)}: give the root of Cityscapes, or two folders')
        return
    if not (args.left and args.right and args.out):
        parser.error('give the root of Cityscapes, or --left, --right and --out')
    if args.splits or args.kinds:
        parser.error(
            '--splits and --kinds are for the root of Cityscapes. Folders of your own get meters '
            'with --depth-file mat_metres (by default), which need no camera to be loaded'
        )
    if (args.camera is None) == (args.fx is None or args.baseline is None) or (
        args.camera is not None and (args.fx is not None or args.baseline is not None)
    ):
        parser.error('meters need the camera: give --fx and --baseline, or --camera')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.stereo.stereo_command import write_stereo_depth

    return write_stereo_depth(args)
