# Licensed under the Apache License 2.0, see LICENSE.
"""Checks the arguments of metrics. MMSeg's metrics accept any keyword, and ignore unknown ones."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from mmseg.registry import METRICS

_NO_NAMES = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_OF_THE_DATASET = dict(
    reduce_zero_label='labels are changed as they are loaded. Remove it here. For '
    'FolderDepthDataset write the change as label_map={0: 255, 1: 0, 2: 1, ...}; MMSeg datasets '
    'take reduce_zero_label=True themselves',
    label_map='labels are mapped as they are loaded. Move it to the dataset',
)


def named_arguments(*metrics: type) -> set[str]:
    """Names of the arguments that the constructors of metrics declare, without ``self``."""
    return {
        name
        for metric in metrics
        for name, parameter in inspect.signature(metric).parameters.items()
        if parameter.kind not in _NO_NAMES
    }


def refuse_unknown_arguments(metric: str, given: Iterable[str], known: Iterable[str]) -> None:
    """End a run that sets an argument which a metric would ignore.

    Args:
        metric (str): Name of the metric, for the message.
        given (Iterable[str]): Names of the arguments given.
        known (Iterable[str]): Names of the arguments that it takes.

    Raises:
        ValueError: One is not known. The message has the nearest known name, or all of them.
    """
    known = sorted(known)
    for name in sorted(set(given) - set(known)):
        if name in _OF_THE_DATASET:
            remedy = f'it belongs to the dataset: {_OF_THE_DATASET[name]}'
        elif nearest := get_close_matches(name, known, n=1):
            remedy = f'did you mean {nearest[0]}?'
        else:
            remedy = f'it takes {", ".join(known)}'
        raise ValueError(
            f'val_evaluator and test_evaluator: {metric} has no argument {name}; {remedy}'
        )


def check_evaluator(evaluator: Mapping | Sequence[Mapping] | None) -> None:
    """Refuse unknown arguments of MMSeg's own metrics, whose constructors ignore them.

    Args:
        evaluator (Mapping | Sequence[Mapping], optional): ``val_evaluator`` or ``test_evaluator``
            of a config. Metrics of other packages are left to their constructors.

    Raises:
        ValueError: As :func:`refuse_unknown_arguments`.
    """
    for settings in [evaluator] if isinstance(evaluator, Mapping) else evaluator or ():
        kind = settings.get('type') if isinstance(settings, Mapping) else None
        metric = METRICS.get(kind) if isinstance(kind, str) else kind
        if inspect.isclass(metric) and metric.__module__.startswith('mmseg.'):
            known = named_arguments(metric) | {'type', 'keep_results'}
            refuse_unknown_arguments(metric.__name__, settings, known)
