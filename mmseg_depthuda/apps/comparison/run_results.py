# Licensed under the Apache License 2.0, see LICENSE.
"""What the work dirs of a method hold: its tests, its curves and its checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mmseg_depthuda.apps.comparison.checkpoint_scores import (
    CHECKPOINT_METRICS,
    read_checkpoint_metrics,
)

Curve = Mapping[int, float]
"""Value by iteration."""

DEPTH_ERRORS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')
_TIMESTAMP = re.compile(r'\d{8}_\d{6}')


@dataclass(frozen=True)
class ComparedRun:
    """A method with the runs that tell how good it is.

    Attributes:
        name: How tables and pictures call it.
        metrics: Per seed what its evaluation has given, percentages by name.
        curves: Per seed what its training has logged; may be empty.
        checkpoints: Per seed what the evaluation of each checkpoint has given, by iteration; may be
            empty.
    """

    name: str
    metrics: Sequence[Mapping[str, float]]
    curves: Sequence[Mapping[str, Curve]] = field(default=())
    checkpoints: Sequence[Mapping[int, Mapping[str, float]]] = field(default=())


def read_run(name: str, work_dirs: Iterable[str | Path]) -> ComparedRun:
    """Read the work dirs of a method, one per seed.

    Args:
        name (str): How to call it.
        work_dirs (Iterable[str | Path]): Work dirs of ``tools/train.py``; the result of
            ``tools/test.py`` is looked for there and in ``test/`` below, and the last validation
            stands in where there is none. Its checkpoints are those that
            ``tools/analysis_tools/evaluate_checkpoints.py`` has evaluated, or the validated ones.

    Returns:
        ComparedRun: Metrics, curves and checkpoints.

    Raises:
        ValueError: A work dir holds no evaluation.
    """
    curves, metrics, checkpoints = [], [], []
    for work_dir in map(Path, work_dirs):
        curves.append(read_curves(work_dir))
        validations = _validations(curves[-1])
        evaluated = read_checkpoint_metrics(work_dir / CHECKPOINT_METRICS) or validations
        checkpoints.append(evaluated)
        metrics.append(read_test(work_dir) or _last(validations) or _last(evaluated))
        if not metrics[-1]:
            raise ValueError(
                f'{name}: {work_dir} '
                + ('holds no evaluation' if work_dir.is_dir() else 'does not exist')
                + '. Name the work dir of a training with a validation, or test its checkpoint: '
                f'python tools/test.py CONFIG CHECKPOINT --work-dir {work_dir / "test"}'
            )
    return ComparedRun(name, metrics, curves, checkpoints)


def read_curves(work_dir: str | Path) -> dict[str, dict[int, float]]:
    """Read what a training has logged, over all attempts.

    MMEngine begins a time-stamped folder with every attempt. An attempt that resumes from a
    checkpoint repeats the iterations after it, which the attempt before has logged, too. From the
    first iteration of the later attempt on, only the later attempt counts.

    Args:
        work_dir (str | Path): Of the training.

    Returns:
        dict[str, dict[int, float]]: Value by iteration, by name; iterations ascend.

    Raises:
        ValueError: A line but the last of a file, which a kill may have cut, is not JSON.
    """
    rows: list[dict] = []
    for folder in _attempts(Path(work_dir)):
        attempt = _read_lines(folder / 'vis_data' / 'scalars.json')
        if attempt:
            first = min(row['step'] for row in attempt)
            rows = [row for row in rows if row['step'] < first] + attempt
    # A step is logged by the training and by its validation, each with its own names.
    table = pd.DataFrame(rows).select_dtypes('number') if rows else pd.DataFrame(columns=['step'])
    table = table.groupby('step').last().drop(columns='iter', errors='ignore')
    return {str(name): curve.dropna().astype(float).to_dict() for name, curve in table.items()}


def read_test(work_dir: str | Path) -> dict[str, float]:
    """Read the latest result of ``tools/test.py``.

    Args:
        work_dir (str | Path): Folder of the test, or of the training with a ``test/`` in it.

    Returns:
        dict[str, float]: Metrics by name; empty if nothing was tested.
    """
    work_dir = Path(work_dir)
    folders = [*_attempts(work_dir), *_attempts(work_dir / 'test')]
    results = [folder / f'{folder.name}.json' for folder in folders]
    results = [path for path in results if path.is_file()]
    if not results:
        return {}
    latest = max(results, key=lambda path: path.stem)
    result = json.loads(latest.read_text())
    return {key: value for key, value in result.items() if isinstance(value, int | float)}


def _attempts(folder: Path) -> list[Path]:
    """MMEngine's folders ``YYYYMMDD_HHMMSS``, the earliest first."""
    return sorted(path for path in folder.glob('*') if _TIMESTAMP.fullmatch(path.name))


def _read_lines(path: Path) -> list[dict]:
    if not path.is_file():
        return []
    lines = path.read_text().splitlines()
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number < len(lines):
                raise ValueError(f'{path}, line {number} is not JSON: {error}') from error
    return rows


def _validations(curves: Mapping[str, Curve]) -> dict[int, dict[str, float]]:
    """Metrics by iteration that was validated."""
    validated = curves.get('mIoU') or curves.get(DEPTH_ERRORS[0], {})
    return {
        step: {name: curve[step] for name, curve in curves.items() if step in curve}
        for step in validated
    }


def _last(metrics: Mapping[int, Mapping[str, float]]) -> Mapping[str, float]:
    return metrics[max(metrics)] if metrics else {}
