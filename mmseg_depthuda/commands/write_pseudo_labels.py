# Licensed under the Apache License 2.0, see LICENSE.
"""Write pseudo-labels of a config's target; see docs/depth_distribution.md.

The classes of every image are predicted once. What is confident and lies in large components is
written as 8-bit PNGs to train on.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from .arguments import CONFIG, add_config_options, add_device, k_of_n

if TYPE_CHECKING:
    from rich.table import Table

    from mmseg_depthuda.apps.pseudo_label_writing.label_writing import WrittenLabels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='folder to write to; existing files are kept')
    parser.add_argument(
        '--threshold', type=float, default=0.9, help='smallest softmax to keep (0.9)'
    )
    parser.add_argument(
        '--spatial-prior',
        metavar='FILE',
        help='keep large components only: file of `mixtures fit` or `data class-statistics`, '
        'from whose pixel counts thresholds follow, or JSON of `classes` and `thresholds`',
    )
    parser.add_argument(
        '--component-pixels',
        type=float,
        nargs=2,
        default=(50, 4950),
        metavar=('N0', 'N1'),
        help='smallest component: N0 for the rarest class, N0 + N1 for the most common one (50 '
        '4950, for 1280x760)',
    )
    parser.add_argument(
        '--shard', type=k_of_n, default=(1, 1), metavar='K/N', help='label every N-th image'
    )
    parser.add_argument('--workers', type=int, default=2, help='processes that read images (2)')
    add_device(parser)
    add_config_options(parser)


def summary(found: WrittenLabels) -> Table:
    """Pixels of each class, which share of them is kept, and how large a component must be."""
    from rich.table import Table

    table = Table('class', 'predicted', 'kept', 'share', 'smallest component')
    sizes = [f'{math.ceil(size)}' for size in found.components] or ['-'] * len(found.classes)
    rows = [
        *zip(found.classes, found.predicted, found.kept, sizes, strict=True),
        ('(all)', sum(found.predicted), sum(found.kept), ''),
    ]
    for name, predicted, kept, size in rows:
        share = f'{kept / predicted:.1%}' if predicted else '-'
        table.add_row(name, str(predicted), str(kept), share, size)
    return table


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('write_pseudo_labels', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmseg.utils import register_all_modules
    from rich.console import Console

    from mmseg_depthuda.apps.checked_model import usable_device
    from mmseg_depthuda.apps.pseudo_label_writing.label_writing import (
        LIST,
        PICTURE,
        write_pseudo_labels,
    )
    from mmseg_depthuda.engine.launch import read_config

    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    found = write_pseudo_labels(
        cfg,
        args.checkpoint,
        args.out,
        device=usable_device(args.device),
        threshold=args.threshold,
        prior=args.spatial_prior,
        base=args.component_pixels[0],
        spread=args.component_pixels[1],
        shard=args.shard,
        workers=args.workers,
    )
    print(f'\n{found.written} images labelled, {found.skipped} were there already: {args.out}')
    if found.missing:
        print(f'{found.missing} are left to other shards; the last one sums up.')
        return
    Console().print(summary(found))
    if found.empty:
        print(f'{len(found.empty)} images have no kept pixel and are not in {LIST}.')
    print(f'List of images: {args.out}/{LIST}, before and after: {args.out}/{PICTURE}')
