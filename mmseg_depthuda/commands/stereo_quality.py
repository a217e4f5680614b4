# Licensed under the Apache License 2.0, see LICENSE.
"""Measure stereo matching against the exact depth of a street world; see docs/stereo_depth.md.

Numbers are for the matched pixels / for these and the inpainted ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'root',
        help='folder cityscapes/ of a world rendered with --parts image label depth right camera',
    )
    parser.add_argument('--nearest', type=float)
    parser.add_argument('--max-disparity', type=float)
    parser.add_argument('--min-disparity', type=float)
    parser.add_argument('--block-size', type=int)
    parser.add_argument('--workers', type=positive_integer, default=2, help='processes (2)')
    parser.add_argument(
        '--enlarge',
        type=positive_integer,
        nargs='+',
        default=[],
        metavar='FACTOR',
        help='also time one pair enlarged by these factors',
    )
    parser.add_argument(
        '--picture', type=Path, metavar='FILE', help='write a picture of two pairs there'
    )


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('stereo quality', lambda: work(args))


def work(args: argparse.Namespace) -> int:
    import cv2

    from mmseg_depthuda.apps.exit_status import COMPLETE
    from mmseg_depthuda.apps.stereo import MatchingOptions
    from mmseg_depthuda.apps.stereo.pair_files import read_image
    from mmseg_depthuda.apps.stereo.quality import (
        evaluated_pairs,
        measure,
        picture,
        processor_seconds,
        table,
    )

    names = ('nearest', 'max_disparity', 'block_size', 'min_disparity')
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    options = MatchingOptions(**given)
    pairs = evaluated_pairs(args.root)
    print(f'{len(pairs)} pairs, matched / inpainted\n')
    print(table(measure(pairs, options, args.workers)))
    height, width = read_image(pairs[0].left, 'left').shape[:2]
    for factor in args.enlarge:
        seconds = processor_seconds(pairs[0], options, factor, repeats=5)
        print(
            f'{width * factor}x{height * factor}: {seconds:.3f} s of processor time per pair, '
            f'{1 / seconds:.2f} pairs per second and core'
        )
    if args.picture is not None:
        chosen = [pairs[len(pairs) * i // 3] for i in (0, 1)]
        sheet = picture(chosen, options)
        if not cv2.imwrite(str(args.picture), sheet, (cv2.IMWRITE_JPEG_QUALITY, 75)):
            raise OSError(f'cannot write {args.picture}: is its folder there, is it a .jpg?')
    return COMPLETE
