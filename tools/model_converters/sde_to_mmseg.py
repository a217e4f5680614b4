# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/model_converters/sde_to_mmseg.py``:
the same as ``mmseg-depthuda weights sde_to_mmseg``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('weights', 'sde_to_mmseg')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
