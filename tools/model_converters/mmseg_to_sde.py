# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a network of self-supervised depth back:
``python tools/model_converters/mmseg_to_sde.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import mmseg_to_sde
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        mmseg_to_sde,
        'Convert a network of self-supervised depth to the layout of the released ones.',
        source='MMSegmentation checkpoint',
        target='folder (depth network) or file to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
