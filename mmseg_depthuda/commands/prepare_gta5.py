# Licensed under the Apache License 2.0, see LICENSE.
"""Check a download of GTA5 and convert its labels to train indices; see docs/data.md."""

from __future__ import annotations

import argparse

from .preparation import add_common, add_folders, prepare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_common(parser, 'data/gta')
    add_folders(parser, 'images', 'labels', 'disparity')


def run(args: argparse.Namespace) -> int:
    return prepare('GTA5', args)
