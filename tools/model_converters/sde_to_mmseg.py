# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a released network of self-supervised depth:
``python tools/model_converters/sde_to_mmseg.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import sde_to_mmseg
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        sde_to_mmseg,
        'Convert a released network of self-supervised depth to a checkpoint of MMSegmentation.',
        source='folder of a depth network, or file of a segmentation network',
        target='checkpoint to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
