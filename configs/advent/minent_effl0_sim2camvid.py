# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/methods/minent_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
]
model = dict(decode_head=dict(num_classes=11))
