# Licensed under the Apache License 2.0, see LICENSE.
# The network of AdvEnt and DADA, trained on the source alone.
_base_ = [
    '../models/deeplabv2_r101_imagenet.py',
    '../schedules/deeplab_90k.py',
    '../snapshots_runtime.py',
]
