# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/write_pseudo_labels.py``, the same as ``mmseg-depthuda pseudo-labels``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('pseudo-labels',)

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
