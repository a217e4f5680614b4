# Licensed under the Apache License 2.0, see LICENSE.
"""Exclusive time of the nested parts of a computation, on CPU or on a CUDA stream."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch


class Stopwatch:
    """Time per named part; a part that runs inside another is taken out of the outer one.

    Every moment between entering the outermost part and leaving it belongs to exactly one part, so
    the parts add up to the whole. On CUDA the moments are events on the current stream: nothing is
    synchronized before :meth:`read`, and a part counts what it makes the device wait or work, as it
    does in training.

    Args:
        device: Device that does the work.

    Example:
        >>> watch = Stopwatch(torch.device('cpu'))
        >>> with watch.part('outer'), watch.part('inner'):
        ...     pass
        >>> sorted(watch.read())
        ['inner', 'outer']
    """

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == 'cuda'
        self._active: list[str] = []
        self._moments: list[tuple] = []  # (moment, part that runs from then on or None)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Attribute the time of a block to ``name``."""
        self._active.append(name)
        self._mark()
        try:
            yield
        finally:
            self._active.pop()
            self._mark()

    def timed(self, name: str | Callable[..., str], function: Callable) -> Callable:
        """Wrap a function so that its calls are a part.

        Args:
            name: Name of the part, or a function that gives it from the call's arguments.
            function: What to wrap.

        Returns:
            Function of the same signature.
        """

        @wraps(function)
        def wrapper(*args, **kwargs):
            with self.part(name(*args, **kwargs) if callable(name) else name):
                return function(*args, **kwargs)

        return wrapper

    def read(self) -> dict[str, float]:
        """Seconds per part since the last reading; starts anew.

        Raises:
            RuntimeError: If a part is still running.
        """
        if self._active:
            raise RuntimeError(f'cannot read the stopwatch within the part {self._active[-1]!r}')
        if self._on_cuda:
            torch.cuda.synchronize()
        seconds: dict[str, float] = {}
        for (start, name), (end, _) in zip(self._moments, self._moments[1:], strict=False):
            if name is not None:
                elapsed = start.elapsed_time(end) / 1000 if self._on_cuda else end - start
                seconds[name] = seconds.get(name, 0.0) + elapsed
        self._moments.clear()
        return seconds

    def _mark(self) -> None:
        if self._on_cuda:
            moment: Any = torch.cuda.Event(enable_timing=True)
            moment.record()
        else:
            moment = time.perf_counter()
        self._moments.append((moment, self._active[-1] if self._active else None))
