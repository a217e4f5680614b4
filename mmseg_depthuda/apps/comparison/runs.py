# Licensed under the Apache License 2.0, see LICENSE.
"""Finished runs side by side: read their files, and write tables and curves.

A method is compared by one run or by several with different seeds, of which mean and standard
deviation are shown. The checkpoints of one run are compared, too.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from prettytable import PrettyTable

from mmseg_depthuda.apps.comparison.checkpoint_scores import (
    CHECKPOINT_METRICS,
    best_iteration,
    read_checkpoint_metrics,
)
from mmseg_depthuda.fileio import AtomicBackend

Curve = Mapping[int, float]
"""Value by iteration."""

CLASS_PREFIX = 'IoU.'
_TIMESTAMP = re.compile(r'\d{8}_\d{6}')
_MEANS = re.compile(r'mIoU(_.+)?')
_DEPTH_ERRORS = ('abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')
_DRAWN = re.compile(
    r'loss|.*\.loss_.+|mIoU(_.+)?|pseudo_label\.(?!.*share).+|explained|abs_rel|rmse|d1'
)
_SIZE = ('eval_width', 'eval_height')


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

    def values(self, metric: str) -> list[float]:
        """Values of the seeds; NaN where a class occurs nowhere.

        Raises:
            ValueError: A seed was evaluated without this metric.
        """
        lacking = [index for index, metrics in enumerate(self.metrics) if metric not in metrics]
        if lacking:
            raise ValueError(
                f'{self.name}: {len(lacking)} of {len(self.metrics)} runs were evaluated without '
                f'{metric}, which others have. Test them again with the same evaluator.'
            )
        return [metrics[metric] for metrics in self.metrics]


# -- reading ---------------------------------------------------------------------------------------


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
    curves: dict[str, dict[int, float]] = {}
    for row in rows:
        for key, value in row.items():
            if key not in ('step', 'iter') and isinstance(value, int | float):
                curves.setdefault(key, {})[row['step']] = float(value)
    return {key: dict(sorted(curve.items())) for key, curve in curves.items()}


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
    validated = curves.get('mIoU') or curves.get(_DEPTH_ERRORS[0], {})
    return {
        step: {name: curve[step] for name, curve in curves.items() if step in curve}
        for step in validated
    }


def _last(metrics: Mapping[int, Mapping[str, float]]) -> Mapping[str, float]:
    return metrics[max(metrics)] if metrics else {}


# -- comparing -------------------------------------------------------------------------------------


def compared_metrics(runs: Sequence[ComparedRun]) -> list[str]:
    """Metrics to set side by side: each class, the means, and the depth errors that all runs have.

    Runs of networks that predict depth alone have only the last.

    Args:
        runs (Sequence[ComparedRun]): Runs.

    Returns:
        list[str]: ``IoU.CLASS`` in the order of the dataset, ``mIoU``, ``mIoU_16``, ..., depth
        errors.

    Raises:
        ValueError: A run was evaluated without the IoU of each class, or runs differ in their
            classes or in the size at which they were compared.
    """
    classes = {run.name: _classes(run) for run in runs}
    first = runs[0].name
    for name, own in classes.items():
        if own != classes[first]:
            different = [c.removeprefix(CLASS_PREFIX) for c in own ^ classes[first].keys()]
            raise ValueError(
                f'{first} and {name} were evaluated over different classes ({sorted(different)} '
                'are in one of them): their means cannot be compared.'
            )
    sizes = {run.name: sizes for run in runs if (sizes := _eval_sizes(run))}
    if len(set().union(*sizes.values())) > 1:
        raise ValueError(
            'the runs were compared at different sizes, '
            + ', '.join(f'{name} at {" and ".join(sorted(own))}' for name, own in sizes.items())
            + ', which changes the numbers: test them again at one size.'
        )
    everywhere = [
        key for key in runs[0].metrics[0] if all(key in m for r in runs for m in r.metrics)
    ]
    return [
        *classes[first],
        *(key for key in everywhere if _MEANS.fullmatch(key)),
        *(key for key in everywhere if key in _DEPTH_ERRORS),
    ]


def _classes(run: ComparedRun) -> dict[str, None]:
    """Names of the class metrics in their order, the same for all seeds; none of depth alone."""
    if all(key in metrics for metrics in run.metrics for key in _DEPTH_ERRORS) and not any(
        key.startswith(CLASS_PREFIX) or _is_mean(key) for metrics in run.metrics for key in metrics
    ):
        return {}
    per_seed = [[key for key in metrics if key.startswith(CLASS_PREFIX)] for metrics in run.metrics]
    if not all(per_seed) or any(names != per_seed[0] for names in per_seed):
        raise ValueError(
            f'{run.name}: '
            + ('seeds differ in their classes' if all(per_seed) else 'no IoU of each class')
            + '. Evaluate with PerClassIoUMetric, the default of the configs, and test again.'
        )
    return dict.fromkeys(per_seed[0])


def _eval_sizes(run: ComparedRun) -> set[str]:
    return {
        f'{metrics["eval_width"]:.0f}x{metrics["eval_height"]:.0f}'
        for metrics in run.metrics
        if all(key in metrics for key in _SIZE)
    }


def comparison_rows(
    runs: Sequence[ComparedRun], baseline: str | None = None
) -> list[dict[str, Any]]:
    """Mean, standard deviation and difference to a baseline of every metric and run.

    Args:
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.

    Returns:
        list[dict]: A row per metric: ``metric``; ``size`` at which predictions were compared
        (``1024x512``; empty where the evaluation does not say it); and per run ``NAME`` (the mean),
        ``NAME std`` (over the seeds, with N - 1; NaN for a single one) and ``NAME difference`` (of
        the means).

    Raises:
        ValueError: The runs cannot be compared, a name occurs twice, or none is the baseline's.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'runs need names of their own, got {names}')
    baseline = baseline or names[0]
    if baseline not in names:
        raise ValueError(f'baseline {baseline!r} is none of the runs {names}')
    rows = []
    metrics = compared_metrics(runs)
    size = ', '.join(set().union(*map(_eval_sizes, runs)))
    for metric in metrics:
        row: dict[str, Any] = dict(metric=metric, size=size)
        values = {run.name: run.values(metric) for run in runs}
        reference = mean(values[baseline])
        for name, own in values.items():
            row[name] = mean(own)
            row[f'{name} std'] = stdev(own) if len(own) > 1 else math.nan
            row[f'{name} difference'] = mean(own) - reference
        rows.append(row)
    return rows


# -- the best checkpoint ---------------------------------------------------------------------------


def best_checkpoints(run: ComparedRun, metric: str) -> tuple[ComparedRun, list[int]]:
    """Take the best checkpoint of each seed in place of the last.

    It is chosen by what it reaches on the very images that it is then reported on: a maximum over
    noisy values, hence optimistic, and the more so, the more checkpoints there are. The published
    protocol of DADA reports it.

    Args:
        run (ComparedRun): Its seeds, with ``checkpoints``.
        metric (str): What decides, see :func:`~mmseg_depthuda.apps.comparison.checkpoint_scores.\
best_iteration`.

    Returns:
        tuple[ComparedRun, list[int]]: The run with the metrics of these checkpoints, whose name
        says of how many they are the best, and their iterations.

    Raises:
        ValueError: A seed has no evaluated checkpoint, or none with this metric.
    """
    if not run.checkpoints or not all(run.checkpoints):
        raise ValueError(
            f'{run.name}: a work dir holds no evaluation of single checkpoints. Train with '
            'train_cfg.val_interval, or evaluate what was kept: python '
            'tools/analysis_tools/evaluate_checkpoints.py CONFIG WORK_DIR'
        )
    try:
        iterations = [best_iteration(evaluated, metric) for evaluated in run.checkpoints]
    except ValueError as error:
        raise ValueError(f'{run.name}: {error}') from error
    counts = '/'.join(dict.fromkeys(str(len(evaluated)) for evaluated in run.checkpoints))
    metrics = [
        evaluated[iteration]
        for evaluated, iteration in zip(run.checkpoints, iterations, strict=True)
    ]
    return ComparedRun(f'{run.name} (best of {counts} checkpoints)', metrics), iterations


# -- writing ---------------------------------------------------------------------------------------


def comparison_table(runs: Sequence[ComparedRun], baseline: str | None = None) -> str:
    """Set runs side by side for a terminal.

    Args:
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.

    Returns:
        str: A row per metric; in a cell the mean, the standard deviation over several seeds, and in
        brackets the difference to the baseline; ``-`` where a class occurs nowhere. The title says
        at which size predictions were compared.

    Raises:
        ValueError: As :func:`comparison_rows`.
    """
    baseline = baseline or runs[0].name
    rows = comparison_rows(runs, baseline)
    first = 'class' if rows[0]['metric'].startswith(CLASS_PREFIX) else 'metric'
    table = PrettyTable([first, *(_heading(run) for run in runs)], align='r')
    table.title = _unit(rows)
    table.align[first] = 'l'
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        metric = row['metric']
        last_class = metric.startswith(CLASS_PREFIX) and not (
            following and following['metric'].startswith(CLASS_PREFIX)
        )
        cells = [_cell(row, run.name, run.name != baseline) for run in runs]
        table.add_row([metric.removeprefix(CLASS_PREFIX), *cells], divider=last_class)
    return table.get_string()


def _unit(rows: Sequence[Mapping[str, Any]]) -> str:
    if rows[0]['metric'] in _DEPTH_ERRORS:
        return 'Depth errors'
    return f'IoU in % at {rows[0]["size"] or "an unknown size"}'


def _heading(run: ComparedRun) -> str:
    return run.name if len(run.metrics) == 1 else f'{run.name} ({len(run.metrics)} seeds)'


def _cell(row: Mapping[str, Any], name: str, with_difference: bool) -> str:
    if math.isnan(row[name]):
        return '-'
    digits = 3 if row['metric'] in _DEPTH_ERRORS else 1
    text = f'{row[name]:.{digits}f}'
    if not math.isnan(row[f'{name} std']):
        text += f' ± {row[f"{name} std"]:.{digits}f}'
    if with_difference and not math.isnan(row[f'{name} difference']):
        text += f' ({row[f"{name} difference"]:+.{digits}f})'
    return text


def write_table(path: str | Path, runs: Sequence[ComparedRun], baseline: str | None = None) -> None:
    """Write :func:`comparison_rows` as CSV, unrounded; an empty cell is NaN.

    Args:
        path (str | Path): CSV file.
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.
    """
    rows = comparison_rows(runs, baseline)
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator='\n')
    writer.writeheader()
    for row in rows:
        writer.writerow({key: '' if value != value else value for key, value in row.items()})
    AtomicBackend().put_text(text.getvalue(), path)


def draw_classes(path: str | Path, runs: Sequence[ComparedRun]) -> None:
    """Draw the IoU of each class and the means as bars, with the standard deviation over seeds.

    Nothing is drawn of runs that were evaluated on depth alone.

    Args:
        path (str | Path): Picture to write.
        runs (Sequence[ComparedRun]): Runs.
    """
    rows = [row for row in comparison_rows(runs) if row['metric'] not in _DEPTH_ERRORS]
    if not rows:
        return
    figure = Figure((2 + 0.16 * len(rows) * (len(runs) + 1), 4), dpi=100, layout='tight')
    axis = figure.subplots()
    width = 0.8 / len(runs)
    for index, run in enumerate(runs):
        positions = np.arange(len(rows)) + (index - (len(runs) - 1) / 2) * width
        means = [row[run.name] for row in rows]
        axis.bar(
            positions,
            means,
            width,
            yerr=np.nan_to_num([row[f'{run.name} std'] for row in rows]),
            error_kw=dict(lw=0.8),
            label=_heading(run),
        )
    names = [row['metric'].removeprefix(CLASS_PREFIX) for row in rows]
    axis.set_xticks(range(len(rows)), names, rotation=45, ha='right', fontsize=8)
    axis.set_ylabel(_unit(rows))
    axis.margins(x=0.01)
    axis.legend(fontsize=8)
    _save(figure, path)


def draw_curves(path: str | Path, runs: Sequence[ComparedRun]) -> None:
    """Draw losses, mIoU, depth errors and pseudo-label quality over the iterations, a panel each.

    A line is the mean over the seeds at the iterations that all of them have, the band around it
    their standard deviation.

    Args:
        path (str | Path): Picture to write.
        runs (Sequence[ComparedRun]): Runs.

    Raises:
        ValueError: No run has a curve.
    """
    logged = dict.fromkeys(key for run in runs for curves in run.curves for key in curves)
    names = [key for key in logged if _DRAWN.fullmatch(key)]
    if not names:
        raise ValueError('no run has logged a loss: name the work dirs of trainings')
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure((3.2 * columns, 2.4 * rows), dpi=100, layout='tight')
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    colors = {run.name: f'C{index}' for index, run in enumerate(runs)}
    for axis, name in zip(axes, names, strict=False):
        axis.set_title(name, fontsize=9)
        axis.tick_params(labelsize=7)
        for run in runs:
            steps, middle, deviation = mean_curve(run, name)
            if not len(steps):
                continue
            marker = 'o' if len(steps) == 1 else None
            axis.plot(steps, middle, color=colors[run.name], label=run.name, lw=1, marker=marker)
            band = (middle - deviation, middle + deviation)
            axis.fill_between(steps, *band, color=colors[run.name], alpha=0.2, lw=0)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=7)
    _save(figure, path)


def mean_curve(run: ComparedRun, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average a curve over the seeds of a run.

    Args:
        run (ComparedRun): Its seeds.
        name (str): Name of the curve.

    Returns:
        tuple[np.ndarray, np.ndarray, np.ndarray]: Iterations that all seeds with this curve have,
        mean, and standard deviation (with N - 1; 0 for a single seed); all empty if there are none.
    """
    curves = [curves[name] for curves in run.curves if name in curves]
    steps = sorted(set.intersection(*map(set, curves))) if curves else []
    if not steps:
        return np.array([]), np.array([]), np.array([])
    values = np.array([[curve[step] for step in steps] for curve in curves])
    deviation = values.std(axis=0, ddof=1) if len(values) > 1 else np.zeros(len(steps))
    return np.array(steps), values.mean(axis=0), deviation


# -- checkpoints of one run ------------------------------------------------------------------------


def checkpoint_table(metrics: Mapping[int, Mapping[str, float]], metric: str) -> str:
    """Set the checkpoints of a training below each other for a terminal.

    Args:
        metrics (Mapping[int, Mapping[str, float]]): What each reaches, by iteration.
        metric (str): By which the best one is chosen.

    Returns:
        str: A row per checkpoint with this metric, the means and the depth errors, the best and the
        last one marked; and a line that says what the best one is worth.

    Raises:
        ValueError: As :func:`~mmseg_depthuda.apps.comparison.checkpoint_scores.best_iteration`.
    """
    best, last = best_iteration(metrics, metric), max(metrics)
    found = dict.fromkeys(name for own in metrics.values() for name in own)
    names = [
        metric,
        *(name for name in found if name != metric and _is_mean(name)),
        *(name for name in found if name != metric and name in _DEPTH_ERRORS),
    ]
    table = PrettyTable(['iteration', *names, ''], align='r')
    table.align[''] = 'l'
    for iteration, own in sorted(metrics.items()):
        marks = [mark for mark, marked in (('best', best), ('last', last)) if iteration == marked]
        cells = [_number(name, own.get(name, math.nan)) for name in names]
        table.add_row([iteration, *cells, ', '.join(marks)])
    return (
        f'{table.get_string()}\n'
        f'best: of {len(metrics)} checkpoints by {metric}, chosen on the very images that it is '
        'measured on, hence optimistic. last: not chosen.'
    )


def draw_checkpoints(
    path: str | Path, metrics: Mapping[int, Mapping[str, float]], metric: str
) -> None:
    """Draw what the checkpoints of a training reach, the best and the last one marked.

    Args:
        path (str | Path): Picture to write.
        metrics (Mapping[int, Mapping[str, float]]): What each reaches, by iteration.
        metric (str): What to draw, by which the best one is chosen.
    """
    best, last = best_iteration(metrics, metric), max(metrics)
    steps = sorted(metrics)
    values = [metrics[step].get(metric, math.nan) for step in steps]
    figure = Figure((5, 3.2), dpi=100, layout='tight')
    axis = figure.subplots()
    axis.plot(steps, values, color='C0', lw=1, marker='o', ms=3)
    for step, color, name in ((best, 'C3', f'best of {len(steps)}'), (last, 'C2', 'last')):
        value = metrics[step].get(metric, math.nan)
        label = f'{name}: {_number(metric, value)} at {step}'
        axis.scatter([step], [value], s=60, facecolor='none', edgecolor=color, label=label)
    axis.set_xlabel('iteration', fontsize=8)
    axis.set_ylabel(metric, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7)
    _save(figure, path)


def _is_mean(name: str) -> bool:
    return bool(_MEANS.fullmatch(name)) or name == 'image_mIoU'


def _number(metric: str, value: float) -> str:
    if math.isnan(value):
        return '-'
    return f'{value:.{3 if metric in _DEPTH_ERRORS else 2}f}'


def _save(figure: Figure, path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
