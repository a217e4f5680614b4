# Licensed under the Apache License 2.0, see LICENSE.
"""Count the pixels of every class in every image of a config's (source) training dataset.

``python tools/dataset_converters/class_statistics.py CONFIG OUT.json`` writes what
``SourceTargetSampler(rare_class_sampling=dict(class_statistics='OUT.json'))`` reads. With
``--class-weights WEIGHTS.json`` it also writes the weights of a cross entropy in which all classes
count alike, for ``CrossEntropyLoss(class_weight='WEIGHTS.json')``.
"""

import argparse
import sys

from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules

from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.datasets import (
    source_dataset_config,
    write_class_statistics,
    write_class_weights,
)
from mmseg_depthuda.engine.launch import Overrides, read_config


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Count class pixels for rare-class sampling and balanced weights'
    )
    parser.add_argument('config', help='config file, or its path within configs/ of the package')
    parser.add_argument('out', help='JSON file to write')
    parser.add_argument(
        '--class-weights', metavar='WEIGHTS.json', help='also write balanced weights of the classes'
    )
    parser.add_argument('--workers', type=int, default=2, help='processes (default: 2)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, help='override settings of the config'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    dataset = DATASETS.build(source_dataset_config(cfg))
    write_class_statistics(dataset, args.out, args.workers)
    print(f'\nWrote {args.out}.')
    if args.class_weights:
        write_class_weights(args.out, args.class_weights)
        print(f'Wrote {args.class_weights}.')


if __name__ == '__main__':
    sys.exit(exit_status('class_statistics', main))
