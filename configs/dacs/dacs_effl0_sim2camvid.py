# Licensed under the Apache License 2.0, see LICENSE.
# DACS from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/methods/dacs_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
]
model = dict(decode_head=dict(num_classes=11))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path=None))))
