# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/show_mixes.py``, the same as ``mmseg-depthuda data mixes``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('data', 'mixes')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
