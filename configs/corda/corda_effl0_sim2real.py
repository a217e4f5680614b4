# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) on the street world from a pretrained network.
_base_ = [
    '../_base_/methods/corda_effl0.py',
    '../_base_/datasets/uda_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
