# Licensed under the Apache License 2.0, see LICENSE.
"""Measure what matching geometry (`match` of a domain) adds to a training iteration.

``python tools/analysis_tools/benchmark_matching.py
configs/corda/corda_r18_sim2real_depthmix_matching.py`` trains some iterations and times, in each of
them, the matching and the loading of as many images without it.
"""

import argparse
import sys

import cv2
import torch
from mmengine.config import Config
from mmseg.utils import register_all_modules

from mmseg_depthuda.apps.benchmarking.matching_times import benchmark_matching
from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import find_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config with `match` in a domain')
    parser.add_argument('--iters', type=int, default=20, help='measured iterations (default: 20)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    register_all_modules()
    times = benchmark_matching(Config.fromfile(find_config(args.config)), args.iters)
    for name in ('total', 'matched', 'plain'):
        print(f'{name:8} {1000 * getattr(times, name) / times.iterations:8.1f} ms per iteration')
    print(f'matching adds {100 * times.share:.1f} % to an iteration without it')


if __name__ == '__main__':
    sys.exit(exit_status('benchmark_matching', main))
