# Licensed under the Apache License 2.0, see LICENSE.
"""Draw ClassMix beside DepthMix: images of a training, and which pixels each has pasted."""

from __future__ import annotations

import argparse

from mmseg_depthuda.commands.arguments import CONFIG, add_config_options, positive_integer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=f'of a training with domains that have depth: {CONFIG}')
    parser.add_argument('out', help='picture to write, .jpg or .png')
    parser.add_argument('--paste', default='source', help='domain that is cut out (%(default)s)')
    parser.add_argument('--onto', default='target', help='domain below (%(default)s)')
    parser.add_argument('--images', type=positive_integer, default=3, help='pairs to draw (3)')
    parser.add_argument('--seed', type=int, default=0, help='of the draws (0)')
    add_config_options(parser)


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if not args.out.endswith(('.jpg', '.png')):
        parser.error(f'out must end in .jpg or .png, got {args.out}')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('show_mixes', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import io

    from mmseg.utils import register_all_modules

    from mmseg_depthuda.apps.mix_pictures import draw_mixes
    from mmseg_depthuda.engine.launch import read_config
    from mmseg_depthuda.fileio import atomic_write

    register_all_modules()
    cfg = read_config(args.config, args.cfg_options)
    figure = draw_mixes(cfg, args.paste, args.onto, args.images, args.seed)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=args.out[-3:].replace('jpg', 'jpeg'), dpi=100)
    with atomic_write(args.out) as file:
        file.write(buffer.getvalue())
    print(f'\nPicture: {args.out}')
