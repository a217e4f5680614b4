# Licensed under the Apache License 2.0, see LICENSE.
"""Finished runs side by side, in tables.

A method is compared by one run or by several with different seeds, of which mean and standard
deviation are shown. The checkpoints of one run are compared, too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from prettytable import PrettyTable
from scipy import stats

from mmseg_depthuda.apps.comparison.checkpoint_scores import best_iteration
from mmseg_depthuda.apps.comparison.run_results import DEPTH_ERRORS, ComparedRun
from mmseg_depthuda.fileio import AtomicBackend

CLASS_PREFIX = 'IoU.'
CONFIDENCE = 0.95
_MEANS = re.compile(r'mIoU(_.+)?')
_SIZE = ('eval_width', 'eval_height')


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
        *(key for key in everywhere if key in DEPTH_ERRORS),
    ]


def _classes(run: ComparedRun) -> dict[str, None]:
    """Names of the class metrics in their order, the same for all seeds; none of depth alone."""
    if all(key in metrics for metrics in run.metrics for key in DEPTH_ERRORS) and not any(
        key.startswith(CLASS_PREFIX) or is_mean(key) for metrics in run.metrics for key in metrics
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


def _common_size(runs: Sequence[ComparedRun]) -> str:
    return ', '.join(set().union(*map(_eval_sizes, runs)))


def _eval_sizes(run: ComparedRun) -> set[str]:
    return {
        f'{metrics["eval_width"]:.0f}x{metrics["eval_height"]:.0f}'
        for metrics in run.metrics
        if all(key in metrics for key in _SIZE)
    }


def comparison(runs: Sequence[ComparedRun], baseline: str | None = None) -> pd.DataFrame:
    """Mean, standard deviation and difference to a baseline of every metric and run.

    Args:
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.

    Returns:
        pd.DataFrame: A row per metric, in the order of :func:`compared_metrics`. Columns of two
        levels: the name of a run, and ``mean``; ``std`` (over the seeds, with N - 1; NaN for a
        single one); ``difference`` (of the means); ``low`` and ``high``, the interval of the
        difference in which its true value lies with 95 % confidence. Seeds are paired in their
        order, and Student's t distribution is taken. It is NaN for a single seed, and where the
        numbers of seeds differ.

    Raises:
        ValueError: The runs cannot be compared, a name occurs twice, or none is the baseline's.
    """
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        raise ValueError(f'runs need names of their own, got {names}')
    baseline = baseline or names[0]
    if baseline not in names:
        raise ValueError(f'baseline {baseline!r} is none of the runs {names}')
    metrics = compared_metrics(runs)
    scores = {run.name: pd.DataFrame(run.metrics)[metrics] for run in runs}
    columns = {name: _statistics(own, scores[baseline]) for name, own in scores.items()}
    return pd.concat(columns, axis=1).rename_axis('metric')


def _statistics(own: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Columns of one run in :func:`comparison`; a row per seed and a column per metric each."""
    difference = own.mean() - reference.mean()
    half = math.nan * difference
    if len(own) == len(reference) > 1:
        pairs = own - reference
        half = stats.t.ppf((1 + CONFIDENCE) / 2, len(own) - 1) * pairs.sem()
    return pd.DataFrame(
        dict(
            mean=own.mean(),
            std=own.std(),
            difference=difference,
            low=difference - half,
            high=difference + half,
        )
    )


def comparison_table(runs: Sequence[ComparedRun], baseline: str | None = None) -> str:
    """Set runs side by side for a terminal.

    Args:
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.

    Returns:
        str: A row per metric; in a cell the mean, the standard deviation over several seeds, and in
        brackets the difference to the baseline; ``-`` where a class occurs nowhere. The title says
        at which size predictions were compared. With several seeds a table of the paired
        differences of the means over the classes follows.

    Raises:
        ValueError: As :func:`comparison`.
    """
    baseline = baseline or runs[0].name
    compared = comparison(runs, baseline)
    classes = [metric for metric in compared.index if metric.startswith(CLASS_PREFIX)]
    first = 'class' if classes else 'metric'
    table = PrettyTable([first, *(heading(run) for run in runs)], align='r')
    table.title = unit(runs)
    table.align[first] = 'l'
    for metric, row in compared.iterrows():
        cells = [_cell(metric, row[run.name], run.name != baseline) for run in runs]
        last = bool(classes) and metric == classes[-1]
        table.add_row([metric.removeprefix(CLASS_PREFIX), *cells], divider=last)
    return '\n'.join([table.get_string(), *_paired_lines(compared, runs, baseline)])


def _paired_lines(compared: pd.DataFrame, runs: Sequence[ComparedRun], baseline: str) -> list[str]:
    """What the seeds say about the differences of the first mean, a line per run."""
    metric = next((name for name in compared.index if not name.startswith(CLASS_PREFIX)), None)
    lines = []
    for run in runs:
        if metric is None or run.name == baseline:
            continue
        row = compared.loc[metric, run.name]
        if pd.isna(row['low']):
            continue
        outside = 'outside' if row['low'] > 0 or row['high'] < 0 else 'within'
        lines.append(
            f'{run.name} - {baseline}: {metric} {number(metric, row["difference"], 1, "+")}, '
            f'95 % of {len(run.metrics)} paired seeds {number(metric, row["low"], 1, "+")} to '
            f'{number(metric, row["high"], 1, "+")}: {outside} the noise'
        )
    return lines


def unit(runs: Sequence[ComparedRun]) -> str:
    """What the numbers of compared runs are."""
    if not any(_classes(run) for run in runs):
        return 'Depth errors'
    return f'IoU in % at {_common_size(runs) or "an unknown size"}'


def heading(run: ComparedRun) -> str:
    """Name of a run, with the number of its seeds if there are several."""
    return run.name if len(run.metrics) == 1 else f'{run.name} ({len(run.metrics)} seeds)'


def _cell(metric: str, row: pd.Series, with_difference: bool) -> str:
    if pd.isna(row['mean']):
        return '-'
    text = number(metric, row['mean'], 1)
    if not pd.isna(row['std']):
        text += f' ± {number(metric, row["std"], 1)}'
    if with_difference and not pd.isna(row['difference']):
        text += f' ({number(metric, row["difference"], 1, "+")})'
    return text


def write_table(path: str | Path, runs: Sequence[ComparedRun], baseline: str | None = None) -> None:
    """Write :func:`comparison` as CSV, unrounded; an empty cell is NaN.

    Columns are ``metric``, ``size`` at which predictions were compared (``1024x512``; empty where
    the evaluation does not say it), and per run ``NAME`` (the mean), ``NAME std``,
    ``NAME difference``, ``NAME low`` and ``NAME high``.

    Args:
        path (str | Path): CSV file.
        runs (Sequence[ComparedRun]): Runs.
        baseline (str, optional): Name of the run to subtract. Defaults to the first.
    """
    table = comparison(runs, baseline)
    table.columns = [
        name if statistic == 'mean' else f'{name} {statistic}' for name, statistic in table.columns
    ]
    table.insert(0, 'size', _common_size(runs))
    AtomicBackend().put_text(table.to_csv(lineterminator='\n'), path)


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
        *(name for name in found if name != metric and is_mean(name)),
        *(name for name in found if name != metric and name in DEPTH_ERRORS),
    ]
    table = PrettyTable(['iteration', *names, ''], align='r')
    table.align[''] = 'l'
    for iteration, own in sorted(metrics.items()):
        marks = [mark for mark, marked in (('best', best), ('last', last)) if iteration == marked]
        cells = [number(name, own.get(name, math.nan)) for name in names]
        table.add_row([iteration, *cells, ', '.join(marks)])
    return (
        f'{table.get_string()}\n'
        f'best: of {len(metrics)} checkpoints by {metric}, chosen on the very images that it is '
        'measured on, hence optimistic. last: not chosen.'
    )


def is_mean(name: str) -> bool:
    """Whether a metric is a mean over classes."""
    return bool(_MEANS.fullmatch(name)) or name == 'image_mIoU'


def number(metric: str, value: float, percent_digits: int = 2, sign: str = '') -> str:
    """A value of a metric with the digits that are usual; ``-`` for NaN."""
    if math.isnan(value):
        return '-'
    return f'{value:{sign}.{3 if metric in DEPTH_ERRORS else percent_digits}f}'
