# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt on the street world from a pretrained network.
_base_ = [
    '../_base_/models/deeplabv2_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MinEntSegmentor', entropy_weight=0.001)
default_hooks = dict(checkpoint=dict(interval=100))
