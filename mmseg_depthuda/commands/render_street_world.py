# Licensed under the Apache License 2.0, see LICENSE.
"""Render the street world into the folder layouts of GTA5, SYNTHIA, Cityscapes, Vistas.

Example:
    mmseg-depthuda data street-world data/street_world \
        --source-images 600 --train-images 600 --val-images 100 --workers 2
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

LAYOUTS = ('gta', 'synthia', 'cityscapes', 'mapillary')
PARTS = ('image', 'label', 'depth', 'disparity', 'right', 'sequence', 'camera')
DEFAULT_PARTS = ('image', 'label', 'depth')


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.out is None and args.preview is None:
        parser.error('give a folder to render into, a --preview file, or both')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('street_world', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
    from mmseg_depthuda.apps.street_world.preview import contact_sheet

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
    import cv2

    if not cv2.imwrite(str(path), sheet, (cv2.IMWRITE_JPEG_QUALITY, 82)):
        raise OSError(f'cannot write {path}: is its folder there, is it a .jpg?')


def parse_size(text: str) -> tuple[int, int]:
    """``'512x256'`` as ``(512, 256)``.

    Raises:
        ValueError: If the text is not WIDTHxHEIGHT.
    """
    parts = text.lower().split('x')
    if len(parts) != 2 or not all(p.isdigit() for p in parts):
        raise ValueError(f'A size is written as WIDTHxHEIGHT, for example 512x256; got {text!r}.')
    return int(parts[0]), int(parts[1])
