# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt from the street world to real CamVid frames.
_base_ = [
    '../_base_/models/advent_r18.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid.py',
    '../_base_/schedules/street_world_adversarial.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=11))
default_hooks = dict(checkpoint=dict(interval=500))
