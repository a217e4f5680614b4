# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux on the street world from a pretrained network: DACS with depth as an auxiliary task.
_base_ = [
    '../_base_/methods/simple_aux_effl0.py',
    '../_base_/datasets/uda_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
