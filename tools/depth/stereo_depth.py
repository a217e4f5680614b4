# Licensed under the Apache License 2.0, see LICENSE.
"""Write depth of stereo pairs for training: ``python tools/depth/stereo_depth.py -h``."""

import sys

from mmseg_depthuda.apps.stereo.stereo_command import write_stereo_depth

if __name__ == '__main__':
    sys.exit(write_stereo_depth())
