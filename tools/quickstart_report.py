# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/quickstart_report.py``, the same as ``mmseg-depthuda analyze quickstart``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('analyze', 'quickstart')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
