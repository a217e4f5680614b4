# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/methods/advent_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained_adversarial.py',
]
model = dict(decode_head=dict(num_classes=11))
