# Licensed under the Apache License 2.0, see LICENSE.
"""Finds the checkpoint from which a run goes on."""

from __future__ import annotations

import logging
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log

from .safe_loading import REMEDY, read_file

TRAINED_STATE = ('state_dict', 'ema_state_dict', 'optimizer')
"""What training changes in a checkpoint: student, teacher, momenta."""


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint from which a stopped run goes on.

    MMEngine writes its name to the text file ``last_checkpoint``. That file may be cut by a full
    disk or a kill, or name a file of the folder from which this one was copied. Then the last
    intact checkpoint of this folder is taken. If the named checkpoint is damaged, the last intact
    one before it is taken. A warning names each damaged one.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        str | None: Path of the checkpoint, None if the folder holds none.

    Raises:
        ValueError: There are checkpoints, and all are damaged.
    """
    work_dir = Path(work_dir)
    numbered = _numbered_checkpoints(work_dir)
    named = _named_checkpoint(work_dir, numbered)
    candidates = numbered[::-1]
    if named is not None:
        rest = candidates[candidates.index(named) + 1 :] if named in candidates else candidates
        candidates = [named, *rest]
    for path in candidates:
        damage = checkpoint_damage(path)
        if damage is None:
            return str(path)
        _warn(f'Checkpoint {path} is damaged ({damage}), looking for the one before.')
    if candidates:
        raise ValueError(
            f'all checkpoints in {work_dir} are damaged: {", ".join(p.name for p in candidates)}. '
            'Restore one, or delete them to start anew.'
        )
    return None


def checkpoint_damage(path: str | Path) -> str | None:
    """Look for cut and altered bytes in a checkpoint; reads the whole file.

    Args:
        path (str | Path): A file of ``torch.save``, which is a zip archive with checksums.

    Returns:
        str | None: What is wrong, None if nothing is.
    """
    if not Path(path).stat().st_size:
        return 'the file is empty'
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        return f'not a complete file of torch.save: {error}'
    return broken and f'wrong checksum in {broken}'


def _named_checkpoint(work_dir: Path, numbered: list[Path]) -> Path | None:
    """The checkpoint that ``last_checkpoint`` names, if it belongs to this folder."""
    pointer = work_dir / 'last_checkpoint'
    if not pointer.is_file():
        return None
    name = pointer.read_bytes().decode(errors='replace').strip().replace('\0', '')
    path = Path(name)
    if not name or not (path.is_file() or (work_dir / path.name).is_file()):
        if numbered:
            _warn(f'{pointer} names no existing checkpoint, resuming from the newest one.')
        return None
    if path.is_file() and path.resolve().parent == work_dir.resolve():
        return path
    if (work_dir / path.name).is_file():
        _warn(f'{pointer} names {path}, which is not in its folder; taking {path.name} from there.')
        return work_dir / path.name
    if numbered:
        _warn(f'{pointer} names {path} of another folder, resuming from the newest one here.')
        return None
    return path  # CheckpointHook with out_dir writes elsewhere


def _warn(message: str) -> None:
    print_log(message, logger='current', level=logging.WARNING)


def last_finite_checkpoint(folder: str | Path) -> str | None:
    """Find the last checkpoint whose weights, teacher and optimizer hold no NaN or infinity.

    An update can break the parameters although its own loss was finite. Only the next loss shows
    it, and a checkpoint that is written in between holds the broken ones. A file that cannot be
    read is passed over with a warning.

    Args:
        folder (str | Path): Folder of the checkpoints.

    Returns:
        str | None: Its path, None if there is none.
    """
    for path in reversed(_numbered_checkpoints(Path(folder))):
        try:
            checkpoint = read_file(path, 'cpu', REMEDY)
        except ValueError as error:
            _warn(f'{error} Looking for the checkpoint before.')
            continue
        if all(_is_finite(checkpoint.get(part)) for part in TRAINED_STATE):
            return str(path)
    return None


def _is_finite(value: Any) -> bool:
    """Whether all tensors within nested containers are finite."""
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return True


def _numbered_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a folder in the order of their iterations or epochs."""
    numbered = {
        int(match.group(1)): path
        for path in folder.glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', path.name))
    }
    return [numbered[number] for number in sorted(numbered)]
