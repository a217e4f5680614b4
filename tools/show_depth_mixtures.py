# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/show_depth_mixtures.py``, the same as ``mmseg-depthuda mixtures show``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('mixtures', 'show')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
