# Licensed under the Apache License 2.0, see LICENSE.
"""Render the street world into the folder layouts of GTA5, SYNTHIA, Cityscapes, Vistas.

Example:
    python tools/dataset_converters/street_world.py data/street_world \\
        --source-images 600 --train-images 600 --val-images 100 --workers 2
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from mmseg_depthuda.apps.exit_status import exit_status, same_command
from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate, parse_size
from mmseg_depthuda.apps.street_world.layouts import DEFAULT_PARTS, LAYOUTS, PARTS
from mmseg_depthuda.apps.street_world.preview import contact_sheet


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'out',
        nargs='?',
        type=Path,
        help='folder of the world; rendering continues where it stopped',
    )
    parser.add_argument('--source-images', type=int, default=0, help='scenes of the domain sim')
    parser.add_argument(
        '--train-images', type=int, default=0, help='scenes of the domain real, train'
    )
    parser.add_argument('--val-images', type=int, default=0, help='scenes of the domain real, val')
    parser.add_argument('--size', type=parse_size, default='512x256', help='WIDTHxHEIGHT in pixels')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=2, help='number of processes')
    parser.add_argument('--layouts', nargs='+', choices=LAYOUTS, default=['gta', 'cityscapes'])
    parser.add_argument('--parts', nargs='+', choices=PARTS, default=list(DEFAULT_PARTS))
    parser.add_argument(
        '--preview', type=Path, metavar='FILE', help='write a picture of twelve scenes there'
    )
    args = parser.parse_args(argv)
    if args.out is None and args.preview is None:
        parser.error('give a folder to render into, a --preview file, or both')
    return args


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.preview is not None:
        write_preview(args.preview, contact_sheet(args.seed, args.size))
    if args.out is None:
        return
    start = time.perf_counter()
    config = WorldConfig(
        source_images=args.source_images,
        train_images=args.train_images,
        val_images=args.val_images,
        size=args.size,
        seed=args.seed,
        layouts=tuple(args.layouts),
        parts=tuple(args.parts),
    )
    rendered = generate(args.out, config, args.workers)
    seconds = time.perf_counter() - start
    if rendered:
        rate = rendered / seconds
        print(f'\n{rendered} scenes in {seconds:.1f} s ({rate:.1f} per second) in {args.out}')
    else:
        print(f'{args.out} is complete.')


def write_preview(path: Path, sheet: np.ndarray) -> None:
    if not cv2.imwrite(str(path), sheet, (cv2.IMWRITE_JPEG_QUALITY, 82)):
        raise OSError(f'cannot write {path}: is its folder there, is it a .jpg?')


if __name__ == '__main__':
    sys.exit(exit_status('street_world', main, same_command))
