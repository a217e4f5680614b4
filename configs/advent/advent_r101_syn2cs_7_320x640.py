# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level, SYNTHIA to Cityscapes over 7 categories, at 640x320.
_base_ = [
    '../_base_/methods/advent_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_7_320x640.py',
]
model = dict(decode_head=dict(num_classes=7))
