# Licensed under the Apache License 2.0, see LICENSE.
"""Files that are complete or absent: an atomic storage backend, and the checkpoint to resume."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to ``PATH.tmp`` beside it, are forced to the disk, and take the name in one step. A
    process that dies on the way leaves the previous file of that name as it was; the next
    write of the same path replaces the remnant.

    Args:
        path (str | Path): File to write. Its folder is created if need be.

    Yields:
        BinaryIO: The open temporary file.

    Raises:
        OSError: The file could not be written; the message names it and the remedy. The temporary
            file is removed. Other exceptions raised in the block pass unchanged.
    """
    path = Path(path)
    temporary = path.with_name(f'{path.name}.tmp')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            raise OSError(
                error.errno,
                f'cannot write the file: {reason}. What was there before is untouched. Free some '
                'space or choose another folder (work_dir in the config, --work-dir on the '
                'command line), then run again with --resume',
                str(path),
            ) from error
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Force a renaming in ``folder`` to the disk, where the system can (POSIX)."""
    if not hasattr(os, 'O_DIRECTORY'):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@register_backend('atomic')
class AtomicBackend(LocalBackend):
    """MMEngine's local files, written atomically.

    Reached by name, so that MMEngine's own hook writes checkpoints that are never half a file:
    ``CheckpointHook(backend_args=dict(backend='atomic'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; see :func:`atomic_write`.

        Args:
            obj (bytes): Content.
            filepath (str | Path): File to write.
        """
        with atomic_write(filepath) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = 'utf-8') -> None:
        """Write text; see :func:`atomic_write`.

        Args:
            obj (str): Content.
            filepath (str | Path): File to write.
            encoding (str): Encoding of the file.
        """
        self.put(obj.encode(encoding), filepath)


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
    numbered = {
        int(match.group(1)): path
        for path in work_dir.glob('*.pth')
        if (match := re.fullmatch(r'(?:iter|epoch)_(\d+)\.pth', path.name))
    }
    if not numbered:
        return None
    newest = numbered[max(numbered)]
    print_log(
        f'{work_dir / "last_checkpoint"} names no existing checkpoint, resuming from {newest}',
        logger='current',
    )
    return str(newest)
