# Licensed under the Apache License 2.0, see LICENSE.
"""What the commands ``data gta5``, ``data synthia`` and ``data cityscapes`` do."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from mmseg_depthuda.apps.exit_status import (
    COMPLETE,
    SKIPPED,
    exit_status,
    same_command,
)
from mmseg_depthuda.datasets import GTA5DepthDataset, SYNTHIADepthDataset
from mmseg_depthuda.datasets.depth_dataset import ProtocolDataset
from mmseg_depthuda.fileio import atomic_write

from .label_preparation import prepare_split
from .split_report import report, summary
from .splits import Split, cityscapes_splits, folder_split

FOLDER_DATASETS: dict[str, type[ProtocolDataset]] = {
    'GTA5': GTA5DepthDataset,
    'SYNTHIA': SYNTHIADepthDataset,
}


def prepare_dataset(name: str, args: argparse.Namespace) -> int:
    """Run the converter of a dataset.

    Args:
        name: ``'Cityscapes'`` or a key of :data:`FOLDER_DATASETS`.
        args: Options of the command, as ``commands/preparation.py`` reads them.

    Returns:
        Exit status.
    """
    if name == 'Cityscapes':
        return _run(
            name,
            args,
            lambda: cityscapes_splits(
                args.root, _out(args), args.protocol, args.splits, args.depth
            ),
        )
    return _run(
        name,
        args,
        lambda: [
            folder_split(
                FOLDER_DATASETS[name],
                args.root,
                _out(args),
                args.protocol,
                images=args.images,
                labels=args.labels,
                depth=args.depth,
            )
        ],
    )


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
