# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/analysis_tools/benchmark_matching.py``:
the same as ``mmseg-depthuda benchmark matching``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('benchmark', 'matching')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
