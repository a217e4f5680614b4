# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt on the street world.
_base_ = [
    '../_base_/models/deeplabv2_r18.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world.py',
    '../_base_/street_world_runtime.py',
]
model = dict(type='MinEntSegmentor', entropy_weight=0.001)
