# Licensed under the Apache License 2.0, see LICENSE.
"""Checks files of the datasets before the first batch is read."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import NamedTuple

from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from mmseg.evaluation import IoUMetric
from mmseg.registry import HOOKS
from torch.utils.data import Dataset

from mmseg_depthuda.datasets.label_check import check_labels
from mmseg_depthuda.models.wrappers import bare_model

CHECKS = (check_labels,)
"""What is checked of each dataset, one after the other. A check takes the dataset, its place in the
config, whether its labels are used, a number of files and of seconds, and returns a
:class:`~mmseg_depthuda.datasets.data_check.CheckReport`, or ``None`` where it does not apply."""


class _Place(NamedTuple):
    """A dataset, where it stands in the config, and whether its labels are used."""

    name: str
    dataset: Dataset
    required: bool


@HOOKS.register_module()
class DataCheckHook(Hook):
    """Look at an even sample of the files before a training, a validation or a test begins.

    Without this check, wrong files would be trained on or scored silently, or end the run hours
    later. The hook refuses label values that mean nothing, files that cannot be read, and labels
    without a labeled pixel. A warning names the classes that never occur in the sample. Before a
    training the validation data are checked, too. ``docs/data.md`` lists all checks.

    Only the main process reads files. The other processes wait for it, and stop if it stops.

    Args:
        files (int): How many files of each dataset are read. Defaults to 200.
        seconds (float): How long all checks of one start may take. Defaults to 8.
        refuse (bool): Whether to stop the run rather than to warn only. Defaults to True.
    """

    priority = 'VERY_HIGH'

    def __init__(self, files: int = 200, seconds: float = 8, refuse: bool = True) -> None:
        self.files = files
        self.seconds = seconds
        self.refuse = refuse
        self._checked: list[Dataset] = []

    def before_train(self, runner: Runner) -> None:
        """Check the training data, and the validation data of the training.

        Args:
            runner (Runner): Whose datasets have been built.

        Raises:
            ValueError: Data that cannot be trained on or scored; the message names the file, what
                was found, and the line of config that mends it.
        """
        unlabelled = getattr(bare_model(runner.model), 'unlabelled', ('target',))
        places = _training_places(runner.train_dataloader.dataset, unlabelled)
        if runner.val_loop is not None:
            places += _evaluated(runner.val_loop, 'val_dataloader')
        self._check(runner, places)

    def before_val(self, runner: Runner) -> None:
        """Check the validation data once.

        Args:
            runner (Runner): As for :meth:`before_train`.

        Raises:
            ValueError: As :meth:`before_train`.
        """
        self._check(runner, _evaluated(runner.val_loop, 'val_dataloader'))

    def before_test(self, runner: Runner) -> None:
        """Check the test data once.

        Args:
            runner (Runner): As for :meth:`before_train`.

        Raises:
            ValueError: As :meth:`before_train`.
        """
        self._check(runner, _evaluated(runner.test_loop, 'test_dataloader'))

    def _check(self, runner: Runner, places: list[_Place]) -> None:
        new = []
        for place in places:
            if not any(place.dataset is known for known in self._checked):
                self._checked.append(place.dataset)
                new.append(place)
        if not new:
            return
        errors = [self._errors(runner, new) if is_main_process() else None]
        broadcast_object_list(errors)
        if errors[0] and self.refuse:
            raise ValueError(' '.join(errors[0]))

    def _errors(self, runner: Runner, places: list[_Place]) -> list[str]:
        """Run all checks, each in its share of the time that is left, and log what they say."""
        deadline = time.monotonic() + self.seconds
        tasks = [(check, place) for place in places for check in CHECKS]
        runner.logger.info(
            f'Data check: reading up to {self.files} files of {", ".join(p.name for p in places)}, '
            f'for at most {self.seconds} s.'
        )
        errors = []
        for number, (check, place) in enumerate(tasks):
            seconds = max(deadline - time.monotonic(), 0) / (len(tasks) - number)
            report = check(place.dataset, place.name, place.required, self.files, seconds)
            if report is None:
                continue
            runner.logger.info(f'Data check: {report.summary}')
            errors += report.errors
            for message in report.warnings + ([] if self.refuse else report.errors):
                runner.logger.warning(f'Data check: {message}')
        return errors


def _training_places(dataset: Dataset, unlabelled: Collection[str]) -> list[_Place]:
    name = 'train_dataloader.dataset'
    domains = getattr(dataset, 'domains', None)
    if not domains:
        return [_Place(name, dataset, required=True)]
    # Nothing is trained on labels of these; some runs compare pseudo-labels with them.
    return [
        _Place(f'{name}.{domain}', part, required=domain not in unlabelled)
        for domain, part in domains.items()
    ]


def _evaluated(loop: BaseLoop, name: str) -> list[_Place]:
    metrics = getattr(getattr(loop, 'evaluator', None), 'metrics', ())
    required = any(isinstance(m, IoUMetric) and not m.format_only for m in metrics)
    return [_Place(f'{name}.dataset', loop.dataloader.dataset, required)]
