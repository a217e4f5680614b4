# Licensed under the Apache License 2.0, see LICENSE.
"""The command line of ``tools/depth/stereo_depth.py``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmseg_depthuda.apps.exit_status import (
    COMPLETE,
    SKIPPED,
    exit_status,
    positive_integer,
    same_command,
)
from mmseg_depthuda.fileio import atomic_write

from .matching import MIN_DISPARITY, NEAREST_METRES
from .pair_files import StereoPair, cityscapes_pairs, folder_pairs
from .pair_matching import MatchingOptions, PairResult, check_record, convert_pairs, list_converted
from .stereo_camera import StereoCamera, read_camera

NAME = 'stereo depth'
CITYSCAPES_KINDS = {'stereo': 'mat_metres', 'official': 'cityscapes_disparity'}
FOLDER_KINDS = ('mat_metres', 'png_disparity')


def write_stereo_depth(argv: Sequence[str] | None = None) -> int:
    """Run the tool.

    Args:
        argv: Arguments, by default those of the process.

    Returns:
        Exit status, see :mod:`mmseg_depthuda.apps.exit_status`.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    _check_arguments(parser, args)
    return exit_status(NAME, lambda: _convert(args), same_command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description='Match rectified stereo pairs and write the depth of the left images for '
        'training; see docs/stereo_depth.md.',
        epilog='Existing depth files are kept, so that an interrupted run goes on. Exit status: 0 '
        'every pair has depth, 1 some were skipped, 2 not finished, 130 or 143 stopped. Defaults '
        'in parentheses.',
    )
    cityscapes = parser.add_argument_group('Cityscapes')
    cityscapes.add_argument(
        'root', nargs='?', help='folder with leftImg8bit, rightImg8bit and camera'
    )
    cityscapes.add_argument('--splits', nargs='+', help='(train val)')
    cityscapes.add_argument(
        '--kinds', nargs='+', choices=sorted(CITYSCAPES_KINDS), help='depth files (stereo)'
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
        default=NEAREST_METRES,
        help=f'meters to the nearest thing in sight ({NEAREST_METRES:g})',
    )
    matching.add_argument(
        '--max-disparity', type=float, help='largest disparity in pixels, instead of --nearest'
    )
    matching.add_argument(
        '--min-disparity',
        type=float,
        default=MIN_DISPARITY,
        help=f'smallest disparity that is measured, in pixels ({MIN_DISPARITY:g})',
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
    return parser


def _check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
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


def _convert(args: argparse.Namespace) -> int:
    options = MatchingOptions(
        nearest=args.nearest,
        max_disparity=args.max_disparity,
        block_size=args.block_size,
        min_disparity=args.min_disparity,
        inpaint=not args.no_inpainting,
    )
    groups, camera = _groups(args)
    check_record(args.out or args.root, options, camera)
    contents = {}
    for name, pairs in groups.items():
        results = convert_pairs(pairs, options, args.workers, name, args.pair_check)
        contents[name] = _group_report(pairs, results)
        listed = list_converted(args.out or args.root, name, pairs)
        print('\n'.join(_summary(name, contents[name])))
        if contents[name]['skipped']:
            print(f'  {listed} lists the images that have depth, for ann_file of a dataset')
    complete = not any(content['skipped'] for content in contents.values())
    if args.report is not None:
        with atomic_write(args.report) as file:
            file.write(json.dumps(dict(complete=complete, groups=contents), indent=1).encode())
    print('Every pair has depth.' if complete else 'Some pairs were skipped, see above.')
    return COMPLETE if complete else SKIPPED


def _groups(args: argparse.Namespace) -> tuple[dict[str, list[StereoPair]], StereoCamera | None]:
    """Pairs by what the progress bar is called, and the camera if it is the same for all."""
    if args.root is not None:
        kinds = {kind: CITYSCAPES_KINDS[kind] for kind in args.kinds or ['stereo']}
        groups = {
            split: cityscapes_pairs(args.root, args.out or args.root, split, kinds)
            for split in args.splits or ['train', 'val']
        }
        return groups, None
    camera = read_camera(args.camera) if args.camera else StereoCamera(args.fx, args.baseline)
    kind = args.depth_file or FOLDER_KINDS[0]
    return {'pairs': folder_pairs(args.left, args.right, args.out, camera, kind)}, camera


def _group_report(pairs: Sequence[StereoPair], results: Sequence[PairResult]) -> dict:
    shares = {r.name: r.valid_share for r in results if r.valid_share is not None}
    return dict(
        pairs=len(pairs),
        written=len(shares),
        present=len(pairs) - len(results),
        skipped={result.name: result.problem for result in results if result.problem},
        mean_valid_share=float(np.mean(list(shares.values()))) if shares else None,
        least_valid=min(shares, key=shares.__getitem__) if shares else None,
        least_valid_share=min(shares.values()) if shares else None,
    )


def _summary(name: str, content: dict) -> list[str]:
    lines = [
        f'{name}: {content["pairs"]} pairs, {content["written"]} written, {content["present"]} '
        'were there already'
    ]
    if content['written']:
        lines.append(
            f'  {content["mean_valid_share"]:.1%} of the pixels have depth on average, at least '
            f'{content["least_valid_share"]:.1%} ({content["least_valid"]})'
        )
    if content['skipped']:
        lines.append(f'  skipped: {len(content["skipped"])} of {content["pairs"]} pairs')
        lines += [f'    {problem}' for problem in content['skipped'].values()]
    return lines
