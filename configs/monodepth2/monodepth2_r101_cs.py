# Licensed under the Apache License 2.0, see LICENSE.
# Self-supervised depth on Cityscapes' video, first stage: the ImageNet encoder is frozen.
_base_ = [
    '../_base_/models/monodepth2_r101.py',
    '../_base_/datasets/sequence_cityscapes_512x1024.py',
    '../_base_/schedules/monodepth2_300k.py',
    '../_base_/monodepth2_runtime.py',
]
