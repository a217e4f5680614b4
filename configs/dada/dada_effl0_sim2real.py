# Licensed under the Apache License 2.0, see LICENSE.
# DADA on the street world from a pretrained network: depth of the source alone.
_base_ = [
    '../_base_/methods/dada_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained_adversarial.py',
]
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
