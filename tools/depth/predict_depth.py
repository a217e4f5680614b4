# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/depth/predict_depth.py``, the same as ``mmseg-depthuda depth predict``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('depth', 'predict')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
