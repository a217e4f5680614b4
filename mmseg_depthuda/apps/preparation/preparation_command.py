# Licensed under the Apache License 2.0, see LICENSE.
"""The command lines of ``tools/dataset_converters/{gta,synthia,cityscapes}.py``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from mmseg_depthuda.apps.exit_status import (
    COMPLETE,
    SKIPPED,
    exit_status,
    positive_integer,
    same_command,
)
from mmseg_depthuda.datasets import GTA5DepthDataset, SYNTHIADepthDataset
from mmseg_depthuda.datasets.depth_dataset import ProtocolDataset
from mmseg_depthuda.datasets.label_protocols import PROTOCOLS
from mmseg_depthuda.fileio import atomic_write

from .label_preparation import prepare_split
from .split_report import report, summary
from .splits import Split, cityscapes_splits, folder_split


def prepare_gta5(argv: Sequence[str] | None = None) -> int:
    """Run the converter of GTA5.

    Args:
        argv: Arguments, by default those of the process.

    Returns:
        Exit status.
    """
    return _prepare_folders(
        argv, 'GTA5', GTA5DepthDataset, 'data/gta', ('images', 'labels', 'disparity')
    )


def prepare_synthia(argv: Sequence[str] | None = None) -> int:
    """Run the converter of SYNTHIA; as :func:`prepare_gta5`."""
    return _prepare_folders(
        argv, 'SYNTHIA', SYNTHIADepthDataset, 'data/synthia', ('RGB', 'GT/LABELS', 'Depth')
    )


def prepare_cityscapes(argv: Sequence[str] | None = None) -> int:
    """Run the converter of Cityscapes; as :func:`prepare_gta5`."""
    parser = _parser('Cityscapes', 'data/cityscapes')
    parser.add_argument('--splits', nargs='+', default=['train', 'val'], help='(train val)')
    parser.add_argument(
        '--depth',
        nargs='+',
        choices=['stereo', 'mono', 'official'],
        default=[],
        help='kinds of depth to verify (none)',
    )
    args = parser.parse_args(argv)
    return _run(
        'Cityscapes',
        args,
        lambda: cityscapes_splits(args.root, _out(args), args.protocol, args.splits, args.depth),
    )


def _prepare_folders(
    argv: Sequence[str] | None,
    name: str,
    dataset: type[ProtocolDataset],
    root: str,
    folders: tuple[str, str, str],
) -> int:
    parser = _parser(name, root)
    for option, folder in zip(('--images', '--labels', '--depth'), folders, strict=True):
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
    args = parser.parse_args(argv)
    return _run(
        name,
        args,
        lambda: [
            folder_split(
                dataset,
                args.root,
                _out(args),
                args.protocol,
                images=args.images,
                labels=args.labels,
                depth=args.depth,
            )
        ],
    )


def _parser(name: str, root: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=f'Check a download of {name} and convert its labels to train indices.',
        epilog='Exit status: 0 every file can be used, 1 some were skipped, 2 not finished, '
        '130 or 143 stopped. Defaults in parentheses.',
    )
    parser.add_argument('root', nargs='?', default=root, help=f'root of the download ({root})')
    parser.add_argument(
        '--out-dir', metavar='ROOT', help='write below this folder instead of the download'
    )
    parser.add_argument(
        '--protocol', choices=sorted(PROTOCOLS), default='cityscapes19', help='(cityscapes19)'
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
    return parser


def _out(args: argparse.Namespace) -> str:
    return args.out_dir or args.root


def _run(name: str, args: argparse.Namespace, list_splits: Callable[[], list[Split]]) -> int:
    folder = None if args.check_only else Path(_out(args), 'prepared', args.protocol)

    def prepare() -> int:
        results = [prepare_split(split, folder, args.workers) for split in list_splits()]
        content = report(results, name, args.protocol)
        _write_report(args.report or (folder and folder / 'report.json'), content)
        print(summary(content))
        if folder is not None:
            print(f'Lists, class statistics and report: {folder}')
        return COMPLETE if content['complete'] else SKIPPED

    return exit_status(name, prepare, same_command)


def _write_report(path: Path | None, content: dict) -> None:
    if path is not None:
        with atomic_write(path) as file:
            file.write(json.dumps(content, indent=1).encode())
