# Licensed under the Apache License 2.0, see LICENSE.
"""Convert back to the released layout:
``python tools/model_converters/mmseg_to_corda.py IN OUT``."""

import argparse
import sys

from mmseg_depthuda.released_weights import mmseg_to_corda


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description='Convert a checkpoint of CorDA or DACS on ResNet-101 to the layout of the '
        'released ones. See docs/weights.md.'
    )
    parser.add_argument('source', metavar='IN', help='MMSegmentation checkpoint')
    parser.add_argument('target', metavar='OUT', help='file to write')
    parsed = parser.parse_args(args)
    try:
        print(mmseg_to_corda(parsed.source, parsed.target))
    except (ValueError, OSError) as error:
        sys.exit(f'mmseg_to_corda: {error}')


if __name__ == '__main__':
    main()
