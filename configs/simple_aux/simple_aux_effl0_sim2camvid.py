# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux from the street world to CamVid, which has no depth: the source alone teaches it.
_base_ = [
    '../_base_/methods/simple_aux_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
]
model = dict(decode_head=dict(num_classes=11))
