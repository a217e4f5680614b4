# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/select_annotations.py``:
the same as ``mmseg-depthuda select-annotations``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('select-annotations',)

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
