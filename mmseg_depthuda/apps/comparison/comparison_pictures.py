# Licensed under the Apache License 2.0, see LICENSE.
"""Finished runs side by side, in pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from mmseg_depthuda.apps.comparison.checkpoint_scores import best_iteration
from mmseg_depthuda.apps.comparison.comparison_tables import (
    CLASS_PREFIX,
    comparison,
    heading,
    number,
    unit,
)
from mmseg_depthuda.apps.comparison.run_results import DEPTH_ERRORS, ComparedRun

_DRAWN = re.compile(
    r'loss|.*\.loss_.+|mIoU(_.+)?|pseudo_label\.(?!.*share).+|explained|abs_rel|rmse|d1'
)


def draw_classes(path: str | Path, runs: Sequence[ComparedRun]) -> None:
    """Draw the IoU of each class and the means as bars, with the standard deviation over seeds.

    Nothing is drawn of runs that were evaluated on depth alone.

    Args:
        path (str | Path): Picture to write.
        runs (Sequence[ComparedRun]): Runs.
    """
    compared = comparison(runs).drop(index=list(DEPTH_ERRORS), errors='ignore')
    if compared.empty:
        return
    compared.index = compared.index.str.removeprefix(CLASS_PREFIX)
    headings = {run.name: heading(run) for run in runs}
    means, deviations = (
        compared.xs(key, axis=1, level=1).rename(columns=headings) for key in ('mean', 'std')
    )
    figure = Figure((2 + 0.16 * len(means) * (len(runs) + 1), 4), dpi=100, layout='tight')
    axis = figure.subplots()
    means.plot.bar(
        ax=axis,
        yerr=deviations.fillna(0),
        width=0.8,
        error_kw=dict(lw=0.8),
        xlabel='',
        legend=False,
    )
    axis.set_xticks(range(len(means)), means.index, rotation=45, ha='right', fontsize=8)
    axis.set_ylabel(unit(runs))
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
            curve = mean_curve(run, name)
            if curve.empty:
                continue
            color, steps, middle = colors[run.name], curve.index, curve['mean']
            marker = 'o' if len(curve) == 1 else None
            axis.plot(steps, middle, color=color, label=run.name, lw=1, marker=marker)
            band = (middle - curve['std'], middle + curve['std'])
            axis.fill_between(steps, *band, color=color, alpha=0.2, lw=0)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    axes[0].legend(fontsize=7)
    _save(figure, path)


def mean_curve(run: ComparedRun, name: str) -> pd.DataFrame:
    """Average a curve over the seeds of a run.

    Args:
        run (ComparedRun): Its seeds.
        name (str): Name of the curve.

    Returns:
        pd.DataFrame: A row per iteration that all seeds with this curve have: ``mean`` and ``std``
        (with N - 1; 0 for a single seed).
    """
    curves = [pd.Series(curves[name], dtype=float) for curves in run.curves if name in curves]
    if not curves:
        return pd.DataFrame(columns=['mean', 'std'])
    values = pd.concat(curves, axis=1, join='inner').sort_index()
    return pd.DataFrame(dict(mean=values.mean(axis=1), std=values.std(axis=1).fillna(0)))


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
        label = f'{name}: {number(metric, value)} at {step}'
        axis.scatter([step], [value], s=60, facecolor='none', edgecolor=color, label=label)
    axis.set_xlabel('iteration', fontsize=8)
    axis.set_ylabel(metric, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7)
    _save(figure, path)


def _save(figure: Figure, path: str | Path) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
