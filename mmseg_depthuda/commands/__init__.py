# Licensed under the Apache License 2.0, see LICENSE.
"""The command line: ``mmseg-depthuda``, ``python -m mmseg_depthuda`` and ``tools/*.py``."""

from .command_line import COMMANDS, main, run_tool

__all__ = ['COMMANDS', 'main', 'run_tool']
