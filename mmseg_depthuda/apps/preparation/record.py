# Licensed under the Apache License 2.0, see LICENSE.
"""What earlier runs did, so that a run goes on where one stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from mmseg_depthuda.fileio import atomic_write

from .inspection import Inspection, Problem, file_state
from .splits import Sample


class Record:
    """Journal of inspected images: one JSON line each, appended as soon as it is known.

    An image is finished, and not read again, if the same settings were in force, none of its
    files has changed, its converted labels are still those that were written, and nothing was wrong
    with it. A line that a killed process left incomplete counts as missing.

    Args:
        path: The journal. It need not exist.
        settings: Everything besides the files that the result depends on; plain JSON values.
    """

    def __init__(self, path: Path, settings: Mapping) -> None:
        self.path = path
        text = json.dumps(settings, sort_keys=True)
        self._settings = hashlib.sha256(text.encode()).hexdigest()
        self._earlier = _read(path) if path.exists() else {}

    def finished(self, sample: Sample) -> Inspection | None:
        """What is known of an image, ``None`` if it has to be read (again)."""
        if sample.stem not in self._earlier:
            return None
        settings, known = self._earlier[sample.stem]
        if (
            settings == self._settings
            and not known.problems
            and known.name == sample.name
            and known.converted is not None
            and known.converted == file_state(sample.converted_path)
            and known.sources == [file_state(path) for path in sample.source_paths]
        ):
            return known
        return None

    def add(self, sample: Sample, result: Inspection) -> None:
        """Append the result of an image.

        If its labels can no longer be converted, what an earlier run wrote is removed: a converted
        file is never older than its source.
        """
        earlier = self._earlier.get(sample.stem)
        known = None if earlier is None else earlier[1]
        if (
            result.converted is None
            and known is not None
            and known.converted is not None
            and known.converted == file_state(sample.converted_path)
        ):
            Path(sample.converted_path).unlink()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, 'a', encoding='utf-8') as file:
            # The line break in front closes a line that a killed process left incomplete.
            file.write(f'\n{self._line(result)}')

    def finish(self, results: Iterable[Inspection]) -> None:
        """Replace the journal by one line per image."""
        with atomic_write(self.path) as file:
            file.writelines(self._line(result).encode() for result in results)

    def _line(self, result: Inspection) -> str:
        return json.dumps({'settings': self._settings, **asdict(result)}) + '\n'


def _read(path: Path) -> dict[str, tuple[str, Inspection]]:
    entries = {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            content = json.loads(line)
            settings = content.pop('settings')
            content['problems'] = [Problem(*problem) for problem in content['problems']]
            result = Inspection(**content)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # incomplete, or of another version: the image is read again
        entries[result.stem] = (settings, result)
    return entries
