# Licensed under the Apache License 2.0, see LICENSE.
"""Measure depth distribution's density and spatial prior in CPU time, beside plain loops.

``mmseg-depthuda benchmark depth-distribution`` takes the sizes of the paper: a grid
of 161x96 and pseudo-labels of 1280x760, 16 classes. The plain loops need some seconds.
"""

from __future__ import annotations

import argparse

from .arguments import positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--classes', type=positive_integer, default=16, help='classes (16)')
    parser.add_argument(
        '--repeats', type=positive_integer, default=21, help='of the fast ways, median (21)'
    )


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('benchmark_depth_distribution', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import cv2
    import torch
    from rich.console import Console
    from rich.table import Table

    from mmseg_depthuda.apps.benchmarking.depth_distribution import (
        benchmark_density,
        benchmark_spatial_prior,
    )

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    table = Table('what', 'ms', 'times faster')
    for timing in [
        *benchmark_density(num_classes=args.classes, repeats=args.repeats),
        *benchmark_spatial_prior(num_classes=args.classes, repeats=args.repeats),
    ]:
        table.add_row(timing.name, f'{1000 * timing.seconds:.1f}', f'{timing.factor:.0f}')
    Console().print(table)
