# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a released CorDA checkpoint:
``python tools/model_converters/corda_to_mmseg.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import corda_to_mmseg
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        corda_to_mmseg,
        'Convert a released CorDA checkpoint to one of MMSegmentation.',
        source='released checkpoint',
        target='checkpoint to write',
        args=args,
        with_teacher=True,
    )


if __name__ == '__main__':
    sys.exit(main())
