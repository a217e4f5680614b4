# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt from the street world to real CamVid frames.
_base_ = [
    '../_base_/methods/advent_r18.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid.py',
]
model = dict(decode_head=dict(num_classes=11))
