# Licensed under the Apache License 2.0, see LICENSE.
"""Makes every loader of the process read checkpoints without running code from them.

``torch.load`` can run any code that a file names. MMEngine reads a file in the safe way first. If
that fails, it reads the file in the unsafe way. An environment variable of PyTorch forbids this,
also in MMSeg's tools, in the inferencer and in child processes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, NoReturn

import mmengine.runner.checkpoint as engine
import torch
from mmengine.runner import CheckpointLoader

SAFE, UNSAFE = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'

REMEDY = (
    f'If you trust whoever made the file, read it once with {UNSAFE}=1 before the command '
    '(docs/weights.md, "Files that are refused").'
)

_load_from_http = engine.load_from_http


def load_without_code() -> None:
    """Make every ``torch.load`` of this process and its children refuse code; done on import.

    A user who has set one of PyTorch's two variables has chosen; then neither is changed.

    MMEngine also allow-lists ``getattr`` while it reads. With ``getattr`` a file reaches ``exec``,
    even under ``weights_only=True``. Its list is emptied: the package has one of its own, see
    :mod:`mmseg_depthuda.checkpoint_types`.
    """
    if not unsafe_loading_is_chosen():
        os.environ.setdefault(SAFE, '1')
    if hasattr(engine, 'get_torch_safe_globals'):  # the maintained line
        engine.get_torch_safe_globals = list
    CheckpointLoader.register_scheme('', load_from_local, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), load_from_http, force=True)


def unsafe_loading_is_chosen() -> bool:
    """Whether the user has allowed to run code from checkpoints."""
    return os.environ.get(UNSAFE, '0').lower() in ('1', 'y', 'yes', 'true')


def load_from_local(filename: str | Path, map_location: Any = None) -> Any:
    """Read a checkpoint file without running code; MMEngine's loader of paths.

    Args:
        filename (str | Path): File that ``torch.save`` wrote. ``~`` is the home folder.
        map_location (Any): As for :func:`torch.load`. Defaults to None.

    Returns:
        Any: Content of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, no checkpoint, or holds objects that only running its code
            could restore. The message names the file, the object and the remedy.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        what = 'is a folder, not a checkpoint file' if path.is_dir() else 'does not exist'
        raise FileNotFoundError(f'checkpoint {path} {what}')
    return read_file(path, map_location, REMEDY, not unsafe_loading_is_chosen())


def read_file(path: str | Path, map_location: Any, remedy: str, weights_only: bool = True) -> Any:
    """Read a file of ``torch.save`` and say in words why it cannot be read.

    Args:
        path (str | Path): Existing file.
        map_location (Any): As for :func:`torch.load`.
        remedy (str): What to do about a file of a trusted person that holds Python objects.
        weights_only (bool): As for :func:`torch.load`. Defaults to True.

    Returns:
        Any: Content of the file.

    Raises:
        OSError: The file cannot be opened.
        ValueError: As :func:`load_from_local`.
    """
    try:
        return torch.load(path, map_location, weights_only=weights_only)
    except OSError:
        raise
    except Exception as error:  # what a damaged file makes PyTorch raise is of any type
        _reraise(error, path, remedy)


def load_from_http(filename: str, map_location: Any = None, **options: Any) -> Any:
    """Download a checkpoint and read it without running code; MMEngine's loader of addresses.

    Args:
        filename (str): Address, ``https://...``.
        map_location (Any): As for :func:`torch.load`. Defaults to None.
        **options (Any): As for MMEngine's function of this name.

    Returns:
        Any: Content of the file.

    Raises:
        OSError: The file cannot be downloaded.
        ValueError: As :func:`load_from_local`.
    """
    try:
        return _load_from_http(filename, map_location, **options)
    except OSError as error:
        raise OSError(f'checkpoint {filename} cannot be downloaded: {error}') from error
    except (UnpicklingError, RuntimeError, EOFError, LookupError) as error:
        _reraise(error, filename, REMEDY)


def _reraise(error: Exception, name: str | Path, remedy: str) -> NoReturn:
    """Raise an error that explains the file; errors of the device, such as a full memory, pass."""
    if isinstance(error, torch.cuda.OutOfMemoryError) or 'CUDA' in str(error):
        raise error
    raise ValueError(f'checkpoint {name} {_why_unreadable(str(error), remedy)}') from error


def _why_unreadable(message: str, remedy: str) -> str:
    """What is wrong with a file, concluded from PyTorch's message."""
    foreign = re.search(r'GLOBAL (\S+)', message)
    reached = re.search(r"may not name the attribute '(\w+)'", message)
    name = foreign[1] if foreign and ' is blocked' in message else None
    if reached:
        name = f'builtins.getattr for {reached[1]}'
    if name is not None:
        return f'asks to run {name}, which no weights need: it may do harm, do not open it'
    if foreign or '.tar format' in message:
        content = (
            f'holds a Python object ({foreign[1]})' if foreign else "is in PyTorch's first format"
        )
        return f'{content}, which is not read here, because reading it can run any code. {remedy}'
    # Before this PyTorch advises to read the file unsafely.
    reason = message.rpartition('WeightsUnpickler error:')[2].strip()
    reason = reason or message.partition('\n')[0]
    return (
        'is damaged, or no file of torch.save (a web page in its place?). Download it again. '
        f'PyTorch says: {reason.splitlines()[0] if reason else "it ends too early"}'
    )
