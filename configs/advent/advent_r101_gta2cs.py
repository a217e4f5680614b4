# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level, GTA5 to Cityscapes over 19 classes.
_base_ = [
    '../_base_/methods/advent_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_720x1280.py',
]
