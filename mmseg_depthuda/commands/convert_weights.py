# Licensed under the Apache License 2.0, see LICENSE.
"""Convert checkpoints that authors have released to MMSegmentation, and back; see docs/weights.md.

If the file cannot be converted, nothing is written.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple


class Conversion(NamedTuple):
    """Words about a converter of :mod:`mmseg_depthuda.apps.released_weights`."""

    description: str
    source: str = 'released checkpoint'
    target: str = 'checkpoint to write'
    with_teacher: bool = False


CONVERSIONS = {
    'corda_to_mmseg': Conversion('A released checkpoint of CorDA.', with_teacher=True),
    'dacs_to_mmseg': Conversion('A released checkpoint of DACS.', with_teacher=True),
    'dada_to_mmseg': Conversion('A released checkpoint of DADA.'),
    'advent_to_mmseg': Conversion('A released checkpoint of AdvEnt.'),
    'depth_distribution_to_mmseg': Conversion('A released checkpoint of depth distribution.'),
    'sde_to_mmseg': Conversion(
        'A released network of self-supervised depth (Hoyer et al.).',
        'folder of a depth network, or file of a segmentation network',
    ),
    'deeplab_init_to_mmseg': Conversion(
        'The ImageNet+COCO or the ImageNet-only initialization of ResNet-101, for the backbone '
        'DeepLabV2ResNet.',
        'released initialization',
        'checkpoint of the backbone to write',
    ),
    'mmseg_to_sde': Conversion(
        'A network of self-supervised depth, to the layout of the released ones.',
        'MMSegmentation checkpoint',
        'folder (depth network) or file to write',
    ),
    'mmseg_to_corda': Conversion(
        'A checkpoint of CorDA or DACS on ResNet-101, to the layout of the released ones.',
        'MMSegmentation checkpoint',
        'file to write',
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    converters = parser.add_subparsers(dest='converter', metavar='CONVERTER', required=True)
    for name, conversion in CONVERSIONS.items():
        one = converters.add_parser(
            name, help=conversion.description, description=conversion.description
        )
        one.add_argument('source', metavar='IN', help=conversion.source)
        one.add_argument('target', metavar='OUT', help=conversion.target)
        if conversion.with_teacher:
            one.add_argument(
                '--weights',
                choices=['student', 'teacher'],
                default='student',
                help='which weights become the state_dict (default: student, as published; the '
                'teacher then goes along as ema_state_dict)',
            )


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps import released_weights
    from mmseg_depthuda.apps.exit_status import exit_status

    options = {name: value for name, value in vars(args).items() if name != 'converter'}
    convert = getattr(released_weights, args.converter)
    return exit_status(args.converter, lambda: print(convert(**options)))
