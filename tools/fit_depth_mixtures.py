# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/fit_depth_mixtures.py``, the same as ``mmseg-depthuda mixtures fit``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('mixtures', 'fit')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
