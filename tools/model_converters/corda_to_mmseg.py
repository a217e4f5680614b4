# Licensed under the Apache License 2.0, see LICENSE.
"""Convert a released CorDA checkpoint:
``python tools/model_converters/corda_to_mmseg.py IN OUT``."""

import argparse
import sys

from mmseg_depthuda.released_weights import corda_to_mmseg


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description='Convert a released CorDA checkpoint to one of MMSegmentation. '
        'See docs/weights.md.'
    )
    parser.add_argument('source', metavar='IN', help='released checkpoint')
    parser.add_argument('target', metavar='OUT', help='checkpoint to write')
    parser.add_argument(
        '--weights',
        choices=['student', 'teacher'],
        default='student',
        help='which weights become the state_dict (default: student, as published; the teacher '
        'then goes along as ema_state_dict)',
    )
    parsed = parser.parse_args(args)
    try:
        print(corda_to_mmseg(parsed.source, parsed.target, parsed.weights))
    except (ValueError, OSError) as error:
        sys.exit(f'corda_to_mmseg: {error}')


if __name__ == '__main__':
    main()
