# Licensed under the Apache License 2.0, see LICENSE.
"""Convert an initialization of DeepLab-v2's ResNet-101:
``python tools/model_converters/deeplab_init_to_mmseg.py IN OUT``."""

import sys

from mmseg_depthuda.apps.released_weights import deeplab_init_to_mmseg
from mmseg_depthuda.apps.released_weights.weights_command import run_converter


def main(args: list[str] | None = None) -> int:
    return run_converter(
        deeplab_init_to_mmseg,
        'Convert the ImageNet+COCO or the ImageNet-only initialization of ResNet-101 '
        'for the backbone DeepLabV2ResNet.',
        source='released initialization',
        target='checkpoint of the backbone to write',
        args=args,
    )


if __name__ == '__main__':
    sys.exit(main())
