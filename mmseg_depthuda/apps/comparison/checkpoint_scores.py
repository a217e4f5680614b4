# Licensed under the Apache License 2.0, see LICENSE.
"""Evaluation of several checkpoints of one training, and which of them is the best."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.runner import Runner

from mmseg_depthuda.fileio import AtomicBackend

CHECKPOINT_METRICS = 'checkpoint_metrics.json'
"""Name of the file, in the work dir of a training, that keeps what its checkpoints reach."""

Metrics = Mapping[str, float]

_ITERATION = re.compile(r'(?:.*_)?iter_(\d+)\.pth')
_HIGHER_IS_BETTER = re.compile(
    r'(image_)?mIoU(_.+)?|[am]Acc|(IoU|Acc)\..+|m(Dice|Fscore|Precision|Recall)|d[123]'
)
_LOWER_IS_BETTER = re.compile(r'abs_rel|sq_rel|rmse(_log)?')


def find_checkpoints(paths: Sequence[str | Path]) -> dict[int, Path]:
    """Find the checkpoints of a training.

    Args:
        paths (Sequence[str | Path]): Work dirs, of which every ``iter_*.pth`` counts, and single
            files, whose names end in ``iter_NUMBER.pth``, as ``best_mIoU_iter_500.pth`` does.

    Returns:
        dict[int, Path]: File by iteration, ascending.

    Raises:
        FileNotFoundError: A path does not exist, or a work dir holds no checkpoint.
        ValueError: The name of a file does not tell its iteration, or two are of the same.
    """
    found: dict[int, Path] = {}
    for path in map(Path, paths):
        files = sorted(path.glob('iter_*.pth')) if path.is_dir() else [path]
        if not files or not files[0].is_file():
            raise FileNotFoundError(
                f'{path} '
                + ('holds no iter_*.pth' if path.is_dir() else 'does not exist')
                + '. Name the work dir of a training, or checkpoints in it.'
            )
        for file in files:
            match = _ITERATION.fullmatch(file.name)
            if match is None:
                raise ValueError(
                    f'{file}: the name does not tell the iteration, iter_NUMBER.pth does. A single '
                    'checkpoint is evaluated by tools/test.py.'
                )
            other = found.setdefault(int(match[1]), file)
            if other != file:
                raise ValueError(
                    f'{other} and {file} are of the same iteration: name the checkpoints of one '
                    'training'
                )
    return dict(sorted(found.items()))


def evaluate_checkpoints(
    cfg: Config, checkpoints: Mapping[int, Path], path: str | Path
) -> dict[int, dict[str, float]]:
    """Test checkpoints one after the other with one model and one data loader.

    What each of them reaches is written at once: a second call leaves out what has been evaluated,
    and evaluates again what has been written anew. Results of checkpoints that were deleted since
    stay. Under ``torch.distributed`` every process calls it, and the main one writes.

    Args:
        cfg (Config): As ``tools/test.py`` uses it; ``load_from`` does not matter.
        checkpoints (Mapping[int, Path]): File by iteration.
        path (str | Path): JSON file of the results, read first if it exists.

    Returns:
        dict[int, dict[str, float]]: What ``test_evaluator`` measures, by iteration, ascending.

    Raises:
        ValueError: The file holds results of another network, data set or metric, or is no such
            file; a metric writes a file of its own for every test (``per_image_scores``); a
            checkpoint does not fit the model.
    """
    path = Path(path)
    settings = _settings(cfg)
    results = _read_results(path, settings)
    states = {iteration: _file_state(file, path) for iteration, file in checkpoints.items()}
    missing = [
        iteration
        for iteration, state in states.items()
        if not state.items() <= results.get(iteration, {}).items()
    ]
    if missing:
        runner = Runner.from_cfg(cfg)
        # Not Runner.test(), whose after_run hooks close the visualizer.
        test_loop = runner.test_loop
        runner.call_hook('before_run')
        for iteration in missing:
            try:
                runner.load_checkpoint(str(checkpoints[iteration]))
            except ValueError as error:  # hooks that judge a checkpoint are not told its name
                raise ValueError(f'{checkpoints[iteration]}: {error}') from error
            metrics = {name: float(value) for name, value in test_loop.run().items()}
            results[iteration] = states[iteration] | dict(metrics=metrics)
            if is_main_process():
                _write_results(path, settings, results)
        runner.call_hook('after_run')
    return {iteration: results[iteration]['metrics'] for iteration in sorted(results)}


def read_checkpoint_metrics(path: str | Path) -> dict[int, dict[str, float]]:
    """Read what :func:`evaluate_checkpoints` has written.

    Args:
        path (str | Path): JSON file.

    Returns:
        dict[int, dict[str, float]]: Metrics by iteration, ascending; empty without the file.

    Raises:
        ValueError: The file is of another kind.
    """
    results = _read_results(Path(path))
    return {iteration: results[iteration]['metrics'] for iteration in sorted(results)}


def best_iteration(metrics: Mapping[int, Metrics], metric: str) -> int:
    """Choose the best checkpoint, the earliest among equals.

    Args:
        metrics (Mapping[int, Metrics]): What each checkpoint reaches, by iteration.
        metric (str): Name of what decides: an accuracy or IoU, of which the highest, or a depth
            error, of which the lowest is the best.

    Returns:
        int: Its iteration.

    Raises:
        ValueError: There is no such metric, or it is NaN everywhere.
    """
    sign = sign_of_better(metric)
    if not any(metric in own for own in metrics.values()):
        names = dict.fromkeys(name for own in metrics.values() for name in own)
        raise ValueError(f'no checkpoint was evaluated by {metric}, only by {", ".join(names)}')
    values = {step: sign * own[metric] for step, own in sorted(metrics.items()) if metric in own}
    values = {step: value for step, value in values.items() if not math.isnan(value)}
    if not values:
        raise ValueError(f'{metric} is NaN for every checkpoint: the class occurs nowhere')
    return max(values, key=values.__getitem__)


def sign_of_better(metric: str) -> int:
    """Tell whether a metric is better when it is higher.

    Args:
        metric (str): Name of a metric of this package or of MMSeg.

    Returns:
        int: 1 for an accuracy or IoU, -1 for a depth error.

    Raises:
        ValueError: It is neither.
    """
    if _HIGHER_IS_BETTER.fullmatch(metric):
        return 1
    if _LOWER_IS_BETTER.fullmatch(metric):
        return -1
    raise ValueError(
        f'no checkpoint can be chosen by {metric!r}: name a metric such as mIoU, mIoU_16, '
        'image_mIoU, IoU.car or abs_rel'
    )


# -- the file of the results -----------------------------------------------------------------------


def _settings(cfg: Config) -> dict[str, str]:
    """What the results depend on beside the weights, as hashes by the key of the config."""
    evaluators = cfg.test_evaluator
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if evaluator.get('per_image_scores') is not None:
            raise ValueError(
                'every checkpoint would replace the file of per_image_scores: leave it out here, '
                'and give it to tools/test.py with the checkpoint that you choose'
            )
    parts = {
        'model': cfg.model,
        'test_dataloader.dataset': cfg.test_dataloader.dataset,
        'test_evaluator': evaluators,
        'test_cfg': cfg.test_cfg,
    }
    return {
        name: hashlib.sha256(json.dumps(part, sort_keys=True, default=repr).encode()).hexdigest()[
            :16
        ]
        for name, part in parts.items()
    }


def _file_state(file: Path, path: Path) -> dict[str, str | int]:
    """Path of a file relative to the results, and what tells that the file was replaced."""
    stat = file.stat()
    return dict(
        file=Path(os.path.relpath(file, path.parent)).as_posix(),
        bytes=stat.st_size,
        modified_ns=stat.st_mtime_ns,
    )


def _read_results(path: Path, settings: Mapping[str, str] | None = None) -> dict[int, dict]:
    """Results by iteration; refuses those of other settings."""
    if not path.exists():
        return {}
    try:
        stored = json.loads(path.read_text())
        results = {int(iteration): result for iteration, result in stored['checkpoints'].items()}
        for result in results.values():
            result['metrics'] = {
                name: math.nan if value is None else float(value)
                for name, value in result['metrics'].items()
            }
        differing = [
            name for name, own in (settings or {}).items() if stored['settings'][name] != own
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f'{path} holds no results of evaluate_checkpoints.py ({error!r}): name another file, '
            'or delete it'
        ) from error
    if differing:
        raise ValueError(
            f'{path} holds results of other settings: {", ".join(differing)} differ. Write to '
            'another file (--out), or delete this one.'
        )
    return results


def _write_results(path: Path, settings: Mapping[str, str], results: Mapping[int, dict]) -> None:
    checkpoints = {}
    for iteration, result in sorted(results.items()):
        # NaN, of a class that occurs nowhere, is not JSON.
        metrics = {
            name: None if math.isnan(value) else value for name, value in result['metrics'].items()
        }
        checkpoints[str(iteration)] = result | dict(metrics=metrics)
    text = json.dumps(dict(settings=settings, checkpoints=checkpoints), indent=2)
    AtomicBackend().put_text(text + '\n', path)
