# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/dataset_converters/gta.py``, the same as ``mmseg-depthuda data gta5``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('data', 'gta5')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
