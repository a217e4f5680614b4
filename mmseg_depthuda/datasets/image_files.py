# Licensed under the Apache License 2.0, see LICENSE.
"""One way to list the files of a folder, and one way to read a list of names."""

import codecs
import logging
import os
import os.path as osp
from collections.abc import Sequence
from pathlib import Path

from mmengine.logging import print_log

IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.webp')
_LEFT_BY_EDITORS = ('Thumbs.db', 'desktop.ini', '__MACOSX')


def list_files(folder: str | Path, suffixes: Sequence[str]) -> list[str]:
    """Files of a folder and its subfolders, by suffix in upper or lower case.

    Symbolic links to files and folders are followed; a link to a folder that contains it is not.
    Hidden files and folders (``._a.png``, ``.ipynb_checkpoints``) and those of operating systems
    (``Thumbs.db``, ``__MACOSX``) are skipped; one line of the log says how many.

    Args:
        folder: The folder.
        suffixes: Suffixes, with their dot.

    Returns:
        Paths below ``folder``, with ``/``, sorted.
    """
    endings = tuple(suffix.lower() for suffix in suffixes)
    found, skipped = [], 0
    pending = [('', frozenset([osp.realpath(folder)]))]
    while pending:
        below, ancestors = pending.pop()
        with os.scandir(osp.join(folder, below)) as entries:
            for entry in entries:
                name = f'{below}/{entry.name}' if below else entry.name
                if entry.name.startswith('.') or entry.name in _LEFT_BY_EDITORS:
                    skipped += 1
                elif entry.is_dir():
                    real = osp.realpath(entry.path)
                    if real not in ancestors:
                        pending.append((name, ancestors | {real}))
                elif entry.name.lower().endswith(endings):
                    found.append(name)
    if skipped:
        print_log(f'{skipped} hidden files and folders below {folder} are skipped', 'current')
    return sorted(found)


def read_list(path: str | Path) -> list[str]:
    """Lines of a text file of names, without blank lines and without blanks around them.

    UTF-8 with or without a byte order mark, UTF-16 with one, and any line ends are read.

    Raises:
        ValueError: If it lists nothing, or is no such text.
    """
    data = Path(path).read_bytes()
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode('utf-16' if is_utf16 else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text. Save the list as UTF-8.') from error
    names = [line.strip() for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f'{path} lists nothing: it is empty. Write one name in each line.')
    unique = list(dict.fromkeys(names))
    if len(unique) < len(names):
        print_log(
            f'{path} names {len(names) - len(unique)} of {len(names)} lines again; they are used '
            'once',
            'current',
            logging.WARNING,
        )
    return unique
