# Licensed under the Apache License 2.0, see LICENSE.
"""``python tools/analysis_tools/benchmark_depth_distribution.py``:
the same as ``mmseg-depthuda benchmark depth-distribution``."""

import sys

MMSEG_DEPTHUDA_COMMAND = ('benchmark', 'depth-distribution')

if __name__ == '__main__':
    from mmseg_depthuda.commands import run_tool

    sys.exit(run_tool(*MMSEG_DEPTHUDA_COMMAND))
