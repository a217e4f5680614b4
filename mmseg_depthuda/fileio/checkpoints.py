# Licensed under the Apache License 2.0, see LICENSE.
"""Which checkpoint of a run to go on from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

TRAINED_STATE = ('state_dict', 'ema_state_dict', 'optimizer')
"""What training changes in a checkpoint: student, teacher, momenta."""


def latest_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint from which a stopped run goes on.

    MMEngine follows the file ``last_checkpoint``, which it truncates before it writes it: a full
    disk or a kill there leaves it empty, though checkpoints exist. Then the one with the highest
    iteration counts.

    Args:
        work_dir (str | Path): Folder of the run.

    Returns:
        str | None: Path of the checkpoint, None if the folder holds none.
    """
    work_dir = Path(work_dir)
    if (work_dir / 'last_checkpoint').is_file():
        named = find_latest_checkpoint(str(work_dir))
        if named and Path(named).is_file():
            return named
    numbered = _numbered_checkpoints(work_dir)
    if not numbered:
        return None
    newest = numbered[-1]
    print_log(
        f'{work_dir / "last_checkpoint"} names no existing checkpoint, resuming from {newest}',
        logger='current',
    )
    return str(newest)


def last_finite_checkpoint(folder: str | Path) -> str | None:
    """Find the last checkpoint whose weights, teacher and optimiser hold no NaN or infinity.

    An update can spoil the parameters although its own loss was finite, which only the next loss
    shows; a checkpoint written in between holds the spoilt ones.

    Args:
        folder (str | Path): Folder of the checkpoints.

    Returns:
        str | None: Its path, None if there is none.
    """
    for path in reversed(_numbered_checkpoints(Path(folder))):
        checkpoint = torch.load(path, map_location='cpu', weights_only=True)
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
