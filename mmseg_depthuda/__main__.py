# Licensed under the Apache License 2.0, see LICENSE.
"""``python -m mmseg_depthuda``, the same as ``mmseg-depthuda``."""

import sys

from mmseg_depthuda.commands import main

if __name__ == '__main__':
    sys.exit(main(program='python -m mmseg_depthuda'))
