# Licensed under the Apache License 2.0, see LICENSE.
"""Options that the commands of all downloaded datasets share."""

from __future__ import annotations

import argparse
from pathlib import Path

from .arguments import positive_integer

PROTOCOLS = ('camvid11', 'categories7', 'cityscapes13', 'cityscapes19', 'synthia16')


def add_common(parser: argparse.ArgumentParser, root: str) -> None:
    """Add root, output, protocol and report."""
    parser.epilog = (
        'Exit status: 0 every file can be used, 1 some were skipped, 2 not finished, 130 or 143 '
        'stopped. Defaults in parentheses.'
    )
    parser.add_argument('root', nargs='?', default=root, help=f'root of the download ({root})')
    parser.add_argument(
        '--out-dir', metavar='ROOT', help='write below this folder instead of the download'
    )
    parser.add_argument(
        '--protocol', choices=PROTOCOLS, default='cityscapes19', help='(cityscapes19)'
    )
    parser.add_argument('--workers', type=positive_integer, default=2, help='processes (2)')
    parser.add_argument(
        '--check-only', action='store_true', help='read everything, convert and write nothing'
    )
    parser.add_argument(
        '--report',
        type=Path,
        metavar='FILE',
        help='JSON report (prepared/PROTOCOL/report.json; with --check-only, none)',
    )


def add_folders(parser: argparse.ArgumentParser, images: str, labels: str, depth: str) -> None:
    """Add the folders of a dataset of one split."""
    for option, folder in (('--images', images), ('--labels', labels), ('--depth', depth)):
        parser.add_argument(
            option, metavar='FOLDER', default=folder, help=f'folder below the root ({folder})'
        )
    parser.add_argument(
        '--no-depth',
        action='store_const',
        const=None,
        dest='depth',
        help='do not verify depth maps',
    )


def prepare(name: str, args: argparse.Namespace) -> int:
    """Check and convert a dataset; the exit status."""
    from mmseg_depthuda.apps.preparation.preparation_command import prepare_dataset

    return prepare_dataset(name, args)
