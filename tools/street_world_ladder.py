# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/street_world_ladder.py``, the same as ``mmseg-depthuda benchmark ladder``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('benchmark', 'ladder')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
