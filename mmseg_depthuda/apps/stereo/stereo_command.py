# Licensed under the Apache License 2.0, see LICENSE.
"""What the command ``depth stereo`` does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import numpy as np

from mmseg_depthuda.apps.exit_status import (
    COMPLETE,
    SKIPPED,
    exit_status,
    same_command,
)
from mmseg_depthuda.fileio import atomic_write

from .pair_files import StereoPair, cityscapes_pairs, folder_pairs
from .pair_matching import MatchingOptions, PairResult, check_record, convert_pairs, list_converted
from .stereo_camera import StereoCamera, read_camera

NAME = 'stereo depth'
CITYSCAPES_KINDS = {'stereo': 'mat_metres', 'official': 'cityscapes_disparity'}
FOLDER_KINDS = ('mat_metres', 'png_disparity')


def write_stereo_depth(args: argparse.Namespace) -> int:
    """Run the command.

    Args:
        args: Its options, as ``commands/stereo_depth.py`` reads them.

    Returns:
        Exit status, see :mod:`mmseg_depthuda.apps.exit_status`.
    """
    return exit_status(NAME, lambda: _convert(args), same_command)


def _convert(args: argparse.Namespace) -> int:
    names = ('nearest', 'max_disparity', 'block_size', 'min_disparity')
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    options = MatchingOptions(**given, inpaint=not args.no_inpainting)
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
