# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution on the street world.
_base_ = [
    '../_base_/models/depth_distribution_r18.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_adversarial.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(mixtures=_base_.depth_mixtures_root + '/street_world_33x17.json'),
)
default_hooks = dict(checkpoint=dict(interval=500))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
