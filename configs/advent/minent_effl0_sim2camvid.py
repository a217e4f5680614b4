# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/models/deeplabv2_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
    '../_base_/default_runtime.py',
]
model = dict(type='MinEntSegmentor', entropy_weight=0.001, decode_head=dict(num_classes=11))
default_hooks = dict(checkpoint=dict(interval=100))
