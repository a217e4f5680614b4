# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution on the street world from a pretrained network.
_base_ = [
    '../_base_/methods/depth_distribution_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained_adversarial.py',
]
model = dict(
    decode_head=dict(mixtures=_base_.depth_mixtures_root + '/street_world_32x16.json'),
)
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
