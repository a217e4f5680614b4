# Licensed under the Apache License 2.0, see LICENSE.
"""A training loop that measures the package's iteration and the naive one in turn."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.runner import IterBasedTrainLoop, Runner
from torch.optim import Optimizer
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
        cpu_seconds: Processor time of each iteration, of all threads together; unlike seconds it
            does not grow when other programs want the processor.
        peak_cuda_bytes: Largest amount of live tensors on the CUDA device; 0 on CPU.
    """

    iterations: list[dict[str, float]] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_cuda_bytes: int = 0


class BenchmarkLoop(IterBasedTrainLoop):
    """Alternates iterations of the variants on one model, one teacher and one optimizer.

    Other load on the machine slows both alike, and both have the same data in memory.

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
        fill_optimizer_state(self.runner.optim_wrapper.optimizer)
        with instrumented(hook, self.runner.optim_wrapper, watch):
            for index in range(self.max_iters):
                for variant in self.variants:
                    measured = Measurement() if index < self.warmup else self.measurements[variant]
                    self._measure(variant, hook, watch, measured)
                    seconds = sum(measured.iterations[-1].values())
                    print_log(f'{variant}: {seconds:.3f} s, {index + 1} of {self.max_iters}')
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')

    def _measure(
        self, variant: str, hook: DACSHook, watch: Stopwatch, measured: Measurement
    ) -> None:
        """Run one iteration and add it to ``measured``."""
        on_cuda = torch.cuda.is_available()
        if on_cuda:
            torch.cuda.reset_peak_memory_stats()
        batch: Any = None if self.time_data else next(self.dataloader_iterator)
        cpu_start = time.process_time()
        with watch.part(Parts.OTHER):
            if self.time_data:
                with watch.part(Parts.DATA):
                    batch = next(self.dataloader_iterator)
            if variant == PACKAGE:
                self.run_iter(batch)
            else:
                naive_iteration(hook, self.runner.optim_wrapper, batch, watch)
        measured.iterations.append(watch.read())
        measured.cpu_seconds.append(time.process_time() - cpu_start)
        if on_cuda:
            peak = torch.cuda.max_memory_allocated()
            measured.peak_cuda_bytes = max(measured.peak_cuda_bytes, peak)


def fill_optimizer_state(optimizer: Optimizer) -> None:
    """Let an optimizer allocate what it keeps between steps, so that the first iteration measured
    has as much in memory as any later one.

    Args:
        optimizer: Takes a step with gradients of 0, and has no gradients afterwards.
    """
    for group in optimizer.param_groups:
        for param in group['params']:
            param.grad = torch.zeros_like(param)
    optimizer.step()
    optimizer.zero_grad()
