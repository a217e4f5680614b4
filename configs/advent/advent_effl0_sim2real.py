# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt on the street world from a pretrained network, no depth.
_base_ = [
    '../_base_/methods/advent_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained_adversarial.py',
]
