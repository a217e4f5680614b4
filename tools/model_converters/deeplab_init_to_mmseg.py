# Licensed under the Apache License 2.0, see LICENSE.
"""Convert an initialisation of DeepLab-v2's ResNet-101:
``python tools/model_converters/deeplab_init_to_mmseg.py IN OUT``."""

import argparse
import sys

from mmseg_depthuda.released_weights import deeplab_init_to_mmseg


def main(args: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description='Convert the ImageNet+COCO or the ImageNet-only initialisation of ResNet-101 '
        'for the backbone DeepLabV2ResNet. See docs/weights.md.'
    )
    parser.add_argument('source', metavar='IN', help='released initialisation')
    parser.add_argument('target', metavar='OUT', help='checkpoint of the backbone to write')
    parsed = parser.parse_args(args)
    try:
        print(deeplab_init_to_mmseg(parsed.source, parsed.target))
    except (ValueError, OSError) as error:
        sys.exit(f'deeplab_init_to_mmseg: {error}')


if __name__ == '__main__':
    main()
