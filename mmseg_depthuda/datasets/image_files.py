# Licensed under the Apache License 2.0, see LICENSE.
"""One way to list the files of a folder, and one way to read a list of names."""

import codecs
import logging
import os
import os.path as osp
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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


def stems_of(names: Iterable[str], suffixes: Sequence[str]) -> list[tuple[str, str]]:
    """``(stem, name)`` of files that :func:`list_files` has found; a stem is without suffix.

    A stem is the same for files of one name in composed and decomposed Unicode (Linux, macOS).
    """
    lengths = [(suffix.lower(), len(suffix)) for suffix in suffixes]
    pairs = []
    for name in names:
        length = max(size for suffix, size in lengths if name.lower().endswith(suffix))
        pairs.append((unicodedata.normalize('NFC', name[: len(name) - length]), name))
    return pairs


def read_list(path: str | Path) -> list[str]:
    """Lines of a text file of names. Blank lines, comments (``#``) and blanks around names are not
    part of them.

    UTF-8 and UTF-16, with or without a byte order mark, and any line ends are read.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it lists nothing, or is no such text.
    """
    data = Path(path).read_bytes()
    try:
        text = data.decode(_encoding(data))
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is not UTF-8 text. Save the list as UTF-8.') from error
    lines = [line.strip() for line in re.split('\r\n|\r|\n', text)]
    names = [line for line in lines if line and not line.startswith('#')]
    if not names:
        raise ValueError(f'{path} lists nothing: it is empty. Write one name in each line.')
    return names


def _encoding(data: bytes) -> str:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return 'utf-16'
    if b'\0' not in data:
        return 'utf-8-sig'
    # UTF-16 without its mark: the upper bytes of most characters are 0.
    return 'utf-16-le' if data[1::2].count(0) > data[::2].count(0) else 'utf-16-be'


def listed_stems(
    path: str | Path, images: Mapping[str, str], folder: str | Path
) -> tuple[list[str], list[str]]:
    """The images that a list names: by stem or file name below their folder, or by full path.

    Args:
        path: The list.
        images: Stem -> file name below ``folder``, as of :func:`stems_of`.
        folder: Folder of the images.

    Returns:
        Stems in the order of the list, each once (a warning says how many lines repeat one); and
        the lines that name no image.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_list`.
    """
    by_name = {unicodedata.normalize('NFC', name): stem for stem, name in images.items()}
    names = read_list(path)
    chosen: list[str] = []
    missing: list[str] = []
    for name in names:
        below = osp.relpath(name, osp.abspath(folder)) if osp.isabs(name) else name
        below = unicodedata.normalize('NFC', osp.normpath(below))
        candidates = (below, below.replace('\\', '/'))  # of Windows
        stems = [by_name.get(one, one) for one in candidates if one in images or one in by_name]
        (chosen if stems else missing).append(stems[0] if stems else name)
    unique = list(dict.fromkeys(chosen))
    if len(unique) < len(chosen):
        print_log(
            f'{path} names images again in {len(chosen) - len(unique)} of {len(names)} lines; they '
            'are used once',
            'current',
            logging.WARNING,
        )
    return unique, missing
