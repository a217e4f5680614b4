# Licensed under the Apache License 2.0, see LICENSE.
"""Reading checkpoints of others without running what is in them, and writing ours."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mmseg_depthuda.engine.launch import existing_checkpoint
from mmseg_depthuda.fileio import atomic_write
from mmseg_depthuda.fileio.safe_loading import read_file

_REMEDY = (
    'If you trust whoever made the file, read it once with c = torch.load(FILE, '
    'map_location="cpu", weights_only=False), save the weights alone with torch.save({name: '
    'c[name] for name in ("model", "ema_model")}, NEW_FILE) (a plain dictionary of tensors, as '
    'initializations, AdvEnt and DADA are: torch.save(dict(c), NEW_FILE)), and convert that file.'
)


def check_paths(source: str | Path, target: str | Path) -> None:
    """Refuse to read what is not there and to overwrite what is read.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        ValueError: ``target`` is ``source``.
    """
    existing_checkpoint(str(source))
    if Path(source).resolve() == Path(target).resolve():
        raise ValueError(f'{target} would overwrite the file it is made of: name another one')


def read_checkpoint(path: str | Path) -> dict:
    """Read a checkpoint to the CPU without ever running code from it.

    Args:
        path (str | Path): File that ``torch.save`` wrote, in its present or its older format.

    Returns:
        dict: Its content.

    Raises:
        ValueError: The file is damaged or no checkpoint, or it holds Python objects that only
            running its code could restore; the message says which, and what to do.
    """
    checkpoint = read_file(path, 'cpu', _REMEDY)
    if not isinstance(checkpoint, Mapping):
        raise ValueError(f'{path} holds a {type(checkpoint).__name__}, not a dictionary of weights')
    return dict(checkpoint)


def checkpoint_entry(checkpoint: Mapping, name: str, path: str | Path) -> dict[str, Tensor]:
    """Take a state dict out of a checkpoint.

    Args:
        checkpoint (Mapping): Content of the file.
        name (str): Entry that holds the state dict.
        path (str | Path): The file, for messages.

    Returns:
        dict[str, Tensor]: The state dict; a copy, which shares the tensors.

    Raises:
        ValueError: There is no such entry, or it holds something else than tensors.
    """
    if name not in checkpoint:
        raise ValueError(f'{path} has no entry {name}; it has {", ".join(map(str, checkpoint))}')
    return tensors(checkpoint[name], f'{path}, entry {name}')


def tensors(state: Mapping, where: str | Path) -> dict[str, Tensor]:
    """Check that a state dict consists of tensors.

    Args:
        state (Mapping): What should be one.
        where (str | Path): File and entry, for messages.

    Returns:
        dict[str, Tensor]: A copy, which shares the tensors.

    Raises:
        ValueError: It is empty or no dictionary, or some values are no tensors; all are named.
    """
    if not isinstance(state, Mapping) or not state:
        raise ValueError(f'{where} must be a dictionary of tensors, and not be empty')
    others = {n: type(v).__name__ for n, v in state.items() if not isinstance(v, Tensor)}
    if others:
        names = ', '.join(f'{name} ({kind})' for name, kind in others.items())
        raise ValueError(f'{where} must hold tensors alone, but holds {names}')
    return dict(state)


def write_checkpoint(path: str | Path, checkpoint: dict) -> None:
    """Write a checkpoint that appears under its name only when it is complete.

    Args:
        path (str | Path): File to write.
        checkpoint (dict): Content.

    Raises:
        OSError: The file cannot be written.
    """
    with atomic_write(path) as file:
        torch.save(checkpoint, file)
