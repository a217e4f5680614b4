# Licensed under the Apache License 2.0, see LICENSE.
"""Options that several commands share."""

from __future__ import annotations

import argparse
import re

from mmengine.config import DictAction

CONFIG = 'config file, or its name: corda/corda_r18_sim2real.py, mmseg_depthuda::corda/...'


class Overrides(DictAction):
    """MMEngine's ``KEY=VALUE ...``; an argument without ``=`` is an error of the command line."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        for value in values:
            if '=' not in value:
                parser.error(f'{option_string} takes KEY=VALUE, got {value!r}')
        super().__call__(parser, namespace, values, option_string)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``.

    Args:
        parser (argparse.ArgumentParser): Parser to extend.
    """
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Overrides,
        help='override settings of the config, as in `train_cfg.max_iters=100 model.x="[1,2]"`',
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that training and testing share, named as in MMSegmentation's tools.

    Args:
        parser (argparse.ArgumentParser): Parser to extend.
    """
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    add_config_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``, which is checked when PyTorch is there
    (:func:`mmseg_depthuda.apps.checked_model.usable_device`).

    Args:
        parser (argparse.ArgumentParser): Parser to extend.
    """
    parser.add_argument('--device', help='cpu, cuda, cuda:1... (default: cuda where there is one)')


def positive_integer(text: str) -> int:
    """Type of an argument that is a number of processes and the like.

    Raises:
        argparse.ArgumentTypeError: If the text is something else.
    """
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f'{text!r} is not a positive number')
    return int(text)


def k_of_n(text: str) -> tuple[int, int]:
    """Parse ``K/N``."""
    match = re.fullmatch(r'(\d+)/(\d+)', text)
    if match is None:
        raise argparse.ArgumentTypeError(f'{text!r} is not of the form K/N, as in 1/4')
    return int(match[1]), int(match[2])
