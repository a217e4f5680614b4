# Licensed under the Apache License 2.0, see LICENSE.
"""A training loop that measures the package's iteration and the naive one in turn."""

from dataclasses import dataclass, field

import torch
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmseg_depthuda.engine.hooks import DACSHook

from .instrumentation import Parts, instrumented
from .naive_iteration import naive_iteration
from .stopwatch import Stopwatch

PACKAGE, NAIVE = 'package', 'naive'


@dataclass
class Measurement:
    """What was measured of one variant.

    Attributes:
        iterations: Seconds per part, one dictionary per iteration.
        peak_cuda_bytes: Largest amount of live tensors on the CUDA device; 0 on CPU.
    """

    iterations: list[dict[str, float]] = field(default_factory=list)
    peak_cuda_bytes: int = 0


class BenchmarkLoop(IterBasedTrainLoop):
    """Alternates iterations of the variants on one model, one teacher and one optimiser.

    What the machine does meanwhile hits both alike, and what is in memory besides the iteration is
    the same for both.

    Args:
        runner: Runner with a :class:`DACSHook`.
        dataloader: Gives batches of ``source`` and ``target``.
        variants: ``'package'``, ``'naive'`` or both.
        iters: Iterations to measure of each variant.
        warmup: Iterations of each variant before.
        time_data: Whether to count the waiting for the data loader.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        variants: tuple[str, ...],
        iters: int,
        warmup: int,
        time_data: bool,
    ) -> None:
        super().__init__(runner, dataloader, max_iters=iters + warmup)
        self.variants = variants
        self.warmup = warmup
        self.time_data = time_data
        self.measurements = {variant: Measurement() for variant in variants}

    def run(self) -> None:
        """Measure; results are in ``measurements``."""
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        model = self.runner.model
        model.train()
        hook = next(hook for hook in self.runner.hooks if isinstance(hook, DACSHook))
        watch = Stopwatch(next(model.parameters()).device)
        with instrumented(hook, self.runner.optim_wrapper, watch):
            for index in range(self.max_iters):
                for variant in self.variants:
                    parts, peak = self._measure(variant, hook, watch)
                    measurement = self.measurements[variant]
                    if index >= self.warmup:
                        measurement.iterations.append(parts)
                        measurement.peak_cuda_bytes = max(measurement.peak_cuda_bytes, peak)
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')

    def _measure(
        self, variant: str, hook: DACSHook, watch: Stopwatch
    ) -> tuple[dict[str, float], int]:
        """Seconds per part and peak CUDA bytes of one iteration."""
        on_cuda = torch.cuda.is_available()
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        batch = None if self.time_data else next(self.dataloader_iterator)
        with watch.part(Parts.OTHER):
            if self.time_data:
                with watch.part(Parts.DATA):
                    batch = next(self.dataloader_iterator)
            if variant == PACKAGE:
                self.run_iter(batch)
            else:
                naive_iteration(hook, self.runner.optim_wrapper, batch, watch)
        parts = watch.read()
        return parts, torch.cuda.max_memory_allocated() if on_cuda else 0
