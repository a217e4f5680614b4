# Licensed under the Apache License 2.0, see LICENSE.
"""Measure how fast one core reads, resizes and crops source-target pairs from full-size files.

``mmseg-depthuda benchmark data`` writes files of GTA5's and Cityscapes' sizes to a
temporary folder and draws pairs from them with the pipelines of a GTA5 -> Cityscapes config.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import islice
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--config',
        default='_base_/datasets/uda_gta_to_cityscapes_512x512.py',
        help='config of the pipelines to measure (GTA5 to Cityscapes with stereo depth)',
    )
    parser.add_argument('--files', type=int, default=8, help='images per domain (default: 8)')
    parser.add_argument('--pairs', type=int, default=32, help='pairs to draw (default: 32)')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('benchmark_data', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import cv2
    import torch
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules

    from mmseg_depthuda.datasets import SourceTargetSampler
    from mmseg_depthuda.datasets.benchmark import time_pairs, time_transforms, write_full_size_pairs
    from mmseg_depthuda.engine.launch import read_config

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    register_all_modules()
    cfg = read_config(args.config).train_dataloader.dataset
    with tempfile.TemporaryDirectory() as folder:
        print(f'Writing {args.files} full-size files per domain ...', flush=True)
        cfg.source.data_root, cfg.target.data_root = map(
            str, write_full_size_pairs(Path(folder), args.files)
        )
        dataset = DATASETS.build(cfg)
        sampler = SourceTargetSampler(dataset, seed=0)
        dataset[next(iter(sampler))]  # decoding tables and imports are made once
        print(f'{time_pairs(dataset, islice(sampler, args.pairs)):.1f} pairs/s on one core')
        for domain in (dataset.source, dataset.target):
            print(type(domain).__name__)
            for name, seconds in time_transforms(domain, range(args.files)).items():
                print(f'  {name:20} {1000 * seconds:6.1f} ms')
