# Licensed under the Apache License 2.0, see LICENSE.
"""Where the time and the memory of a self-training iteration go."""

from .timing_report import format_report, summarize
from .training import BenchmarkOptions, benchmark_training

__all__ = ['BenchmarkOptions', 'benchmark_training', 'format_report', 'summarize']
