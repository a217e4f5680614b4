# Licensed under the Apache License 2.0, see LICENSE.
"""Finds the command that a command line names, and runs it.

A command is a module of this folder with two functions: ``add_arguments(parser)`` and
``run(args)``, which returns the exit status (:mod:`mmseg_depthuda.apps.exit_status`). It can have a
third, ``check_arguments(parser, args)``. On import it needs neither PyTorch nor MMSegmentation:
``run`` imports them. So the options are read at once, and ``--help`` does not wait.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import mmseg_depthuda
from mmseg_depthuda.startup import ignore_foreign_warnings

COMMANDS: Mapping[str, str | Mapping[str, str]] = {
    'train': 'train',
    'test': 'test',
    'predict': 'predict',
    'data': {
        'street-world': 'render_street_world',
        'cityscapes': 'prepare_cityscapes',
        'gta5': 'prepare_gta5',
        'synthia': 'prepare_synthia',
        'class-statistics': 'count_classes',
        'mixes': 'show_mixes',
    },
    'depth': {
        'stereo': 'stereo_depth',
        'predict': 'predict_depth',
        'show': 'show_depth',
    },
    'mixtures': {'fit': 'fit_mixtures', 'show': 'show_mixtures'},
    'pseudo-labels': 'write_pseudo_labels',
    'select-annotations': 'select_annotations',
    'weights': 'convert_weights',
    'analyze': {
        'runs': 'compare_runs',
        'checkpoints': 'evaluate_checkpoints',
        'confusion-matrix': 'confusion_matrix',
        'negative-transfer': 'negative_transfers',
        'stereo': 'stereo_quality',
        'quickstart': 'report_quickstart',
    },
    'benchmark': {
        'training': 'benchmark_iteration',
        'data': 'benchmark_data',
        'depth-distribution': 'benchmark_density',
        'matching': 'benchmark_matching_cost',
        'ladder': 'benchmark_ladder',
    },
}
"""Name of a command -> its module, or the commands of a group by their names."""
GROUPS = {
    'data': 'Datasets: render the street world, check and convert downloads.',
    'depth': 'Depth files: of stereo pairs or from a network; pictures of them.',
    'mixtures': 'Depth mixtures of a source: fit and draw them.',
    'analyze': 'Compare runs, checkpoints and images.',
    'benchmark': 'Measure speed, memory, and methods over seeds.',
}
FAILED, INTERRUPTED = 2, 130


def main(argv: Sequence[str] | None = None, program: str = 'mmseg-depthuda') -> int:
    """Run the command that a command line names.

    Args:
        argv (Sequence[str], optional): Words after the program. Defaults to those of the process.
        program (str): What the user has typed before them.

    Returns:
        int: Exit status.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    commands, names = COMMANDS, [program]
    while words and words[0] in commands:
        names.append(words.pop(0))
        found = commands[names[-1]]
        if isinstance(found, str):
            return _run(found, ' '.join(names), words)
        commands = found
    _parser_of_group(names, commands).parse_args(words or ['--help'])
    return FAILED  # not reached: argparse ends the process


def run_tool(*names: str) -> int:
    """Run a command under the name of the script that the user has called.

    Args:
        *names (str): The command, ``'train'`` or ``'depth', 'show'``, and its first arguments.

    Returns:
        int: Exit status.
    """
    words = [*names, *sys.argv[1:]]
    command: Any = COMMANDS
    while not isinstance(command, str):
        command = command[words.pop(0)]
    return _run(command, sys.argv[0], words)


def parse(module_name: str, program: str, words: Sequence[str]) -> argparse.Namespace:
    """Read the options of a command.

    Args:
        module_name (str): Its module.
        program (str): What the user has typed before the options.
        words (Sequence[str]): The options.

    Returns:
        argparse.Namespace: The options; an error among them ends the process.
    """
    command = import_module(f'{__package__}.{module_name}')
    parser = argparse.ArgumentParser(
        prog=program,
        description=command.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    args = parser.parse_args(words)
    if hasattr(command, 'check_arguments'):
        command.check_arguments(parser, args)
    return args


def _run(module_name: str, program: str, words: Sequence[str]) -> int:
    args = parse(module_name, program, words)
    ignore_foreign_warnings()
    try:
        mmseg_depthuda.register()
    except ImportError as error:
        print(f'{program}: Error: {error}', file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f'{program}: interrupted.', file=sys.stderr)
        return INTERRUPTED
    return import_module(f'{__package__}.{module_name}').run(args)


def _parser_of_group(names: Sequence[str], commands: Mapping[str, Any]) -> argparse.ArgumentParser:
    """A parser that lists commands."""
    description = GROUPS[names[-1]] if len(names) > 1 else mmseg_depthuda.__doc__.splitlines()[0]
    parser = argparse.ArgumentParser(
        prog=' '.join(names),
        description=description,
        epilog=f'`{" ".join(names)} COMMAND --help` says more.',
    )
    parser.add_argument('--version', action='version', version=mmseg_depthuda.__version__)
    listed = parser.add_subparsers(title='commands', metavar='COMMAND', required=True)
    for name, command in commands.items():
        if isinstance(command, str):
            text = import_module(f'{__package__}.{command}').__doc__ or ''
            listed.add_parser(name, help=text.splitlines()[0])
        else:
            listed.add_parser(name, help=GROUPS[name])
    return parser
