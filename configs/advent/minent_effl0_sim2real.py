# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt on the street world from a pretrained network.
_base_ = [
    '../_base_/methods/minent_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
