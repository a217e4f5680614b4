# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level, GTA5 to Cityscapes over 19 classes.
_base_ = [
    '../_base_/models/advent_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_720x1280.py',
    '../_base_/schedules/adversarial_90k.py',
    '../_base_/snapshots_runtime.py',
]
