# Licensed under the Apache License 2.0, see LICENSE.
"""Draw ClassMix beside DepthMix: ``python tools/show_mixes.py -h``."""

import argparse
import io
import sys

from mmengine.config import Config
from mmseg.utils import register_all_modules

from mmseg_depthuda.apps.exit_status import exit_status, positive_integer
from mmseg_depthuda.apps.mix_pictures import draw_mixes
from mmseg_depthuda.engine.launch import Overrides, find_config
from mmseg_depthuda.fileio import atomic_write


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw images of a training, ClassMix and DepthMix of them, and which pixels '
        'each has pasted.'
    )
    parser.add_argument('config', help='config of a training with domains that have depth')
    parser.add_argument('out', help='picture to write, .jpg or .png')
    parser.add_argument('--paste', default='source', help='domain that is cut out (%(default)s)')
    parser.add_argument('--onto', default='target', help='domain below (%(default)s)')
    parser.add_argument('--images', type=positive_integer, default=3, help='pairs to draw (3)')
    parser.add_argument('--seed', type=int, default=0, help='of the draws (0)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=Overrides, help='override settings of the config'
    )
    args = parser.parse_args()
    if not args.out.endswith(('.jpg', '.png')):
        parser.error(f'out must end in .jpg or .png, got {args.out}')
    return args


def main() -> None:
    args = parse_args()
    cfg = Config.fromfile(find_config(args.config))
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    register_all_modules()
    figure = draw_mixes(cfg, args.paste, args.onto, args.images, args.seed)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=args.out[-3:].replace('jpg', 'jpeg'), dpi=100)
    with atomic_write(args.out) as file:
        file.write(buffer.getvalue())
    print(f'\nPicture: {args.out}')


if __name__ == '__main__':
    sys.exit(exit_status('show_mixes', main))
