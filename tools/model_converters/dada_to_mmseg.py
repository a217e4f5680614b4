# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a released DADA checkpoint:
``python tools/model_converters/dada_to_mmseg.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import dada_to_mmseg
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        dada_to_mmseg,
        'Convert a released DADA checkpoint to one of MMSegmentation.',
        source='released checkpoint',
        target='checkpoint to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
