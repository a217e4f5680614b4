# Licensed under the Apache License 2.0, see LICENSE.
"""Check a download of Cityscapes and convert its labels to train indices; see docs/data.md."""

import sys

from mmseg_depthuda.apps.preparation.preparation_command import prepare_cityscapes

if __name__ == '__main__':
    sys.exit(prepare_cityscapes())
