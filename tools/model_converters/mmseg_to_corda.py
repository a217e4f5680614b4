# Licensed under the Apache License 2.0, see LICENSE.
"""Convert back to the released layout:
``python tools/model_converters/mmseg_to_corda.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import mmseg_to_corda
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        mmseg_to_corda,
        'Convert a checkpoint of CorDA or DACS on ResNet-101 to the layout of the released ones.',
        source='MMSegmentation checkpoint',
        target='file to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
