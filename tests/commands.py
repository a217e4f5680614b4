# Licensed under the Apache License 2.0, see LICENSE.
"""Runs command-line tools."""

import runpy
import sys
from unittest.mock import patch


def exit_status_of(script, *arguments):
    """Run a Python script in this process, which has imported everything already."""
    with patch.object(sys, 'argv', [str(script), *map(str, arguments)]):
        try:
            runpy.run_path(str(script), run_name='__main__')
        except SystemExit as end:
            return end.code
    return 0


def main_of(script):
    """The function ``main`` of a script, which is not run."""
    return runpy.run_path(str(script))['main']
