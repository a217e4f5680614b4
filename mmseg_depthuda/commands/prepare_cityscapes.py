# Licensed under the Apache License 2.0, see LICENSE.
"""Check a download of Cityscapes and convert its labels to train indices; see docs/data.md."""

from __future__ import annotations

import argparse

from .preparation import add_common, prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'data/cityscapes')
    parser.add_argument('--splits', nargs='+', default=['train', 'val'], help='(train val)')
    parser.add_argument(
        '--depth',
        nargs='+',
        choices=['stereo', 'mono', 'official'],
        default=[],
        help='kinds of depth to verify (none)',
    )


def run(args: argparse.Namespace) -> int:
    return prepare('Cityscapes', args)
