# Licensed under the Apache License 2.0, see LICENSE.
"""The settings of a folder's files, so that no command mixes files of different settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmseg_depthuda.fileio import atomic_write


def claim_folder(record: Path, settings: Mapping[str, Any], what: str, pattern: str) -> None:
    """Compare settings with those of the files that are there; write them if there are none.

    Args:
        record: JSON file of the settings, in the folder of the files.
        settings: What must be equal for all files; plain JSON values.
        what: What the files are, for the messages.
        pattern: Glob pattern of the files.

    Raises:
        ValueError: The folder holds files of other settings, or of unknown ones.
    """
    out = record.parent
    # Looked for first: another process that shares the work may write just now.
    found = next(iter(out.glob(pattern)), None)
    if not record.exists():
        if found is not None:
            raise ValueError(
                f'{out} holds {found.name}, but no {record.name} that says what it is. Name a new '
                'folder.'
            )
        with atomic_write(record) as file:
            file.write(f'{json.dumps(settings, indent=1)}\n'.encode())
        return
    try:
        stored = json.loads(record.read_text(encoding='utf-8'))
        differing = [name for name, value in settings.items() if stored[name] != value]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{record} is damaged ({type(error).__name__}: {error}). Name a new folder.'
        ) from error
    if differing:
        raise ValueError(
            f'{out} holds {what} of other settings: {", ".join(differing)} differ. Name another '
            'folder, or delete this one.'
        )


def text_digest(text: str) -> str:
    """SHA-256 of a text, hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def checkpoint_digest(checkpoint: str | Path) -> str:
    """SHA-256 of the content of a checkpoint, or of its address if it is no file here."""
    path = Path(checkpoint).expanduser()
    if not path.is_file():
        return text_digest(str(checkpoint))
    return hashlib.sha256(path.read_bytes()).hexdigest()
