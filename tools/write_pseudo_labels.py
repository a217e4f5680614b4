# Licensed under the Apache License 2.0, see LICENSE.
"""Write pseudo-labels of a config's target: ``python tools/write_pseudo_labels.py -h``."""

import argparse
import math
import re
import sys

from mmseg.utils import register_all_modules
from rich.console import Console
from rich.table import Table

from mmseg_depthuda.apps.checked_model import default_device, existing_device
from mmseg_depthuda.apps.exit_status import exit_status, same_command
from mmseg_depthuda.apps.pseudo_label_writing.label_writing import (
    LIST,
    PICTURE,
    WrittenLabels,
    write_pseudo_labels,
)
from mmseg_depthuda.engine.launch import Overrides, read_config


def k_of_n(text: str) -> tuple[int, int]:
    """Parse ``K/N``."""
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form K/N, as in 1/4')
    return int(match[1]), int(match[2])


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Predict the classes of every image of the target once, keep what is confident '
        'and lies in large components, and write it as 8-bit PNGs to train on; see '
        'docs/depth_distribution.md.'
    )
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('out', help='folder to write to; existing files are kept')
    parser.add_argument(
        '--threshold', type=float, default=0.9, help='smallest softmax to keep (0.9)'
    )
    parser.add_argument(
        '--spatial-prior',
        metavar='FILE',
        help='keep large components only: file of fit_depth_mixtures.py or class_statistics.py, '
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
    parser.add_argument('--device', type=existing_device, default=default_device())
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, help='override settings of the config'
    )
    return parser.parse_args()


def summary(found: WrittenLabels) -> Table:
    """Pixels of each class, which share of them is kept, and how large a component must be."""
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


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    found = write_pseudo_labels(
        cfg,
        args.checkpoint,
        args.out,
        device=args.device,
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


if __name__ == '__main__':
    sys.exit(exit_status('write_pseudo_labels', main, same_command))
