# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt on the street world: adversarial adaptation of self-information, no depth.
_base_ = [
    '../_base_/methods/advent_r18.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
]
