# Licensed under the Apache License 2.0, see LICENSE.
"""Draw fitted depth mixtures.

The mixtures of some classes beside the pixels of the source, and the density of some images.
"""

from __future__ import annotations

import argparse
import io

from .arguments import add_config_options, positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help='config that the mixtures were fitted with')
    parser.add_argument('mixtures', help='file of `mixtures fit`')
    parser.add_argument('out', help='picture to write, .jpg or .png')
    parser.add_argument('--classes', nargs='+', help='names (default: the four of most pixels)')
    parser.add_argument('--images', type=int, default=2, help='images to draw (2)')
    parser.add_argument(
        '--read', type=positive_integer, default=500, help='images to read pixels from (500)'
    )
    parser.add_argument(
        '--scale',
        type=float,
        help='of the exponential map of the density (that of the release)',
    )
    parser.add_argument('--workers', type=positive_integer, default=2, help='processes (2)')
    add_config_options(parser)


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if not args.out.endswith(('.jpg', '.png')):
        parser.error(f'out must end in .jpg or .png, got {args.out}')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('show_depth_mixtures', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import numpy as np
    from mmseg.registry import DATASETS
    from mmseg.utils import register_all_modules

    from mmseg_depthuda.adaptation.depth_mixtures import PUBLISHED_SCALE
    from mmseg_depthuda.apps.depth_mixtures import draw_class_samples
    from mmseg_depthuda.apps.depth_mixtures.mixture_pictures import density_of_image, draw_mixtures
    from mmseg_depthuda.datasets import source_dataset_config
    from mmseg_depthuda.datasets.depth_mixture_files import check_mixtures, load_mixtures
    from mmseg_depthuda.engine.launch import read_config
    from mmseg_depthuda.fileio import atomic_write

    mixtures, meta = load_mixtures(args.mixtures)
    cfg = read_config(args.config, args.cfg_options)
    register_all_modules()
    dataset = DATASETS.build(source_dataset_config(cfg))
    drawn = draw_class_samples(dataset, cfg.model, workers=args.workers, images=args.read)
    check_mixtures(meta, classes=drawn.classes, grid=drawn.grid, encoding=drawn.encoding)
    scale = PUBLISHED_SCALE if args.scale is None else args.scale
    common = [drawn.classes[i] for i in np.argsort(drawn.pixels)[:-5:-1]]
    chosen = np.linspace(0, len(dataset) - 1, args.images + 2).round().astype(int)[1:-1]
    figure = draw_mixtures(
        mixtures,
        drawn,
        args.classes or common,
        [density_of_image(mixtures, meta, dataset, int(i), scale) for i in chosen],
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format=args.out[-3:].replace('jpg', 'jpeg'), dpi=100)
    with atomic_write(args.out) as file:
        file.write(buffer.getvalue())
    print(f'\nPicture: {args.out}')
