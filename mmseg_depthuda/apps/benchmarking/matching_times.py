# Licensed under the Apache License 2.0, see LICENSE.
"""What matching geometry adds to a training iteration."""

import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

import mmseg_depthuda  # noqa: F401  registers what configs name
from mmseg_depthuda.datasets import DomainsDataset

from .instrumentation import replaced


@dataclass
class MatchingTimes(Hook):
    """Processor seconds, summed over the measured iterations; a hook that counts them.

    Attributes:
        warmup: Iterations that are not counted.
        total: Of whole iterations, loading included.
        matched: Of loading the domains with ``match``.
        plain: Of loading one image without ``match`` for each of theirs.
        iterations: How many were counted.
    """

    warmup: int = 1
    total: float = 0.0
    matched: float = 0.0
    plain: float = 0.0
    iterations: int = 0
    _start: float = field(default=0.0, repr=False)

    @property
    def share(self) -> float:
        """What matching adds to an iteration without it: 0.1 are 10 %."""
        return (self.matched - self.plain) / (self.total - self.matched)

    def before_train(self, runner: Runner) -> None:
        """Start the clock."""
        self._start = time.process_time()

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Count an iteration, or forget what the warm-up took."""
        self.iterations += 1
        if runner.iter + 1 == self.warmup:
            self.matched = self.plain = 0.0
            self.iterations = 0
            self._start = time.process_time()
        self.total = time.process_time() - self._start

    def timed_matching(self, dataset: DomainsDataset) -> Any:
        """A method ``_matched`` that is timed, beside loading one candidate for each image."""
        matched = dataset._matched

        def timed(name: str, images: tuple[int, ...], seed: int, drawn: Mapping) -> list[dict]:
            start = time.process_time()
            found = matched(name, images, seed, drawn)
            middle = time.process_time()
            for image in images[:: dataset.matching[name].candidates]:
                dataset.domains[name][image]
            self.matched += middle - start
            self.plain += time.process_time() - middle
            return found

        return timed


def benchmark_matching(cfg: Config, iters: int = 20, warmup: int = 2) -> MatchingTimes:
    """Train some iterations of a config with ``match``, and time the matching beside the rest.

    All in one process, so that the processor times add up. Pretrained weights are not loaded.

    Args:
        cfg: Config of a training with a domain that has ``match``.
        iters: Measured iterations.
        warmup: Iterations before.

    Returns:
        MatchingTimes: In seconds, of all measured iterations.

    Raises:
        ValueError: No domain has ``match``, or ``iters`` or ``warmup`` is not positive.
    """
    if iters < 1 or warmup < 1:
        raise ValueError(f'iters and warmup must be positive, got {iters} and {warmup}')
    cfg = cfg.copy()
    cfg.model.backbone.init_cfg = None
    loader = dict(cfg.train_dataloader, num_workers=0, persistent_workers=False)
    times = MatchingTimes(warmup)
    with tempfile.TemporaryDirectory() as work_dir, DefaultScope.overwrite_default_scope('mmseg'):
        runner = Runner(
            model=cfg.model,
            work_dir=work_dir,
            train_dataloader=Runner.build_dataloader(loader, seed=0),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=warmup + iters),
            optim_wrapper=cfg.optim_wrapper,
            default_hooks=dict(logger=None, checkpoint=None),
            custom_hooks=cfg.custom_hooks,
            visualizer=dict(type='Visualizer', vis_backends=[]),
            default_scope='mmseg',
            randomness=dict(seed=0),
            log_level='WARNING',
        )
        dataset = runner.train_dataloader.dataset
        if not getattr(dataset, 'matching', None):
            raise ValueError(
                'No domain of train_dataloader.dataset has `match`: take a config such as '
                'configs/corda/corda_r18_sim2real_depthmix_matching.py.'
            )
        runner.register_hook(times, priority='LOWEST')
        with replaced(dataset, '_matched', times.timed_matching(dataset)):
            runner.train()
    return times
