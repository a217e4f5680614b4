# Licensed under the Apache License 2.0, see LICENSE.
"""Runs command-line tools."""

import runpy
import sys
from importlib import import_module
from unittest.mock import patch

from mmseg_depthuda.commands.command_line import COMMANDS, main, parse


def exit_status_of(script, *arguments):
    """Run a Python script in this process, which has imported everything already."""
    with patch.object(sys, 'argv', [str(script), *map(str, arguments)]):
        try:
            runpy.run_path(str(script), run_name='__main__')
        except SystemExit as end:
            return end.code
    return 0


def main_of(script):
    """The work of a script as a function of its arguments, which raises its errors."""
    names = runpy.run_path(str(script))['MMSEG_DEPTHUDA_COMMAND']
    module = COMMANDS
    for name in names:
        module = module[name]
    work = import_module(f'mmseg_depthuda.commands.{module}').work
    return lambda arguments: work(parse(module, script.name, arguments))


def command(*names):
    """A command of ``mmseg-depthuda`` as a function of its arguments: its exit status."""
    return lambda arguments: main([*names, *arguments])
