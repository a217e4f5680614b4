# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level, SYNTHIA to Cityscapes over 16 classes ("S2" of DADA's Table 3).
_base_ = [
    '../_base_/methods/advent_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_760x1280.py',
]
model = dict(decode_head=dict(num_classes=16))
