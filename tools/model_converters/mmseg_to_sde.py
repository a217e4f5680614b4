# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/model_converters/mmseg_to_sde.py``:
the same as ``mmseg-depthuda weights mmseg_to_sde``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('weights', 'mmseg_to_sde')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
