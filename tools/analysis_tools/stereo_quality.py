# Licensed under the Apache License 2.0, see LICENSE.
"""Measure stereo matching against the exact depth of a street world; see docs/stereo_depth.md."""

import argparse
import sys
from pathlib import Path

import cv2

from mmseg_depthuda.apps.exit_status import COMPLETE, exit_status, positive_integer
from mmseg_depthuda.apps.stereo import MatchingOptions
from mmseg_depthuda.apps.stereo.pair_files import read_image
from mmseg_depthuda.apps.stereo.quality import (
    evaluated_pairs,
    measure,
    picture,
    processor_seconds,
    table,
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Match the stereo pairs of a street world and compare with its exact depth. '
        'Numbers are for the matched pixels / for these and the inpainted ones.'
    )
    parser.add_argument(
        'root',
        help='folder cityscapes/ of a world rendered with --parts image label depth right camera',
    )
    parser.add_argument('--nearest', type=float, default=MatchingOptions.nearest)
    parser.add_argument('--max-disparity', type=float)
    parser.add_argument('--min-disparity', type=float, default=MatchingOptions.min_disparity)
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
    return parser.parse_args()


def evaluate(args: argparse.Namespace) -> int:
    options = MatchingOptions(
        nearest=args.nearest,
        max_disparity=args.max_disparity,
        block_size=args.block_size,
        min_disparity=args.min_disparity,
    )
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


if __name__ == '__main__':
    parsed = parse_args()
    sys.exit(exit_status('stereo quality', lambda: evaluate(parsed)))
