# Licensed under the Apache License 2.0, see LICENSE.
# DACS on the street world from a pretrained network: self-training with class mixing, no depth.
_base_ = [
    '../_base_/methods/dacs_effl0.py',
    '../_base_/datasets/uda_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
train_dataloader = dict(
    dataset=dict(
        source=dict(data_prefix=dict(depth_map_path=None)),
        target=dict(depth=None),
    )
)
