# Licensed under the Apache License 2.0, see LICENSE.
"""Files that are complete or absent: atomic writing, and a storage backend that does it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mmengine.fileio import LocalBackend, register_backend


@contextmanager
def atomic_write(path: str | Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    The bytes go to ``PATH.tmp`` in the same folder. When it is complete, it gets its name in one
    step. If the process dies before, the previous file of that name stays as it was, and the next
    write of the same path replaces the temporary file.

    Args:
        path (str | Path): File to write. Its folder is created if need be.
        durable (bool): Whether the file must also survive a power failure: its bytes are forced to
            the disk before it takes the name. False is faster for thousands of small files that can
            be written again.

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
            if durable:
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
                'space or choose another folder (of a training: work_dir in the config, --work-dir '
                'on the command line), then run again (a training with --resume)',
                str(path),
            ) from error
        raise
    if durable:
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
