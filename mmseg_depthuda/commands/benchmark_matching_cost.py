# Licensed under the Apache License 2.0, see LICENSE.
"""Measure what matching geometry (`match` of a domain) adds to a training iteration.

``mmseg-depthuda benchmark matching corda/corda_r18_sim2real_depthmix_matching.py`` trains some
iterations and times, in each of them, the matching and the loading of as many images without it.
"""

from __future__ import annotations

import argparse

from mmseg_depthuda.commands.arguments import CONFIG


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=f'with `match` in a domain: {CONFIG}')
    parser.add_argument('--iters', type=int, default=20, help='measured iterations (default: 20)')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('benchmark_matching', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import cv2
    import torch
    from mmseg.utils import register_all_modules

    from mmseg_depthuda.apps.benchmarking.matching_times import benchmark_matching
    from mmseg_depthuda.engine.launch import read_config

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    register_all_modules()
    times = benchmark_matching(read_config(args.config), args.iters)
    for name in ('total', 'matched', 'plain'):
        print(f'{name:8} {1000 * getattr(times, name) / times.iterations:8.1f} ms per iteration')
    print(f'matching adds {100 * times.share:.1f} % to an iteration without it')
