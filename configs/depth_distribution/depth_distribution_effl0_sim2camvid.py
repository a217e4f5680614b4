# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/methods/depth_distribution_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid_whole_240x384.py',
    '../_base_/schedules/camvid_pretrained_adversarial.py',
]
model = dict(
    decode_head=dict(
        num_classes=11,
        mixtures=_base_.depth_mixtures_root + '/street_world_camvid11_48x30.json',
        density_scale=9.3e4,  # the published 1e6 for a grid of 161x96
    ),
)
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
