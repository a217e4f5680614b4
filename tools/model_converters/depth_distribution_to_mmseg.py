# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a released checkpoint of depth distribution:
``python tools/model_converters/depth_distribution_to_mmseg.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import depth_distribution_to_mmseg
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        depth_distribution_to_mmseg,
        'Convert a released checkpoint of depth distribution to one of MMSegmentation.',
        source='released checkpoint',
        target='checkpoint to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
