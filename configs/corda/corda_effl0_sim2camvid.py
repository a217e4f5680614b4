# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to real CamVid frames, which have no depth: the depth losses of mixed
# images and the difficulty weight drop out, so that this is CorDA (F), with depth of the source.
_base_ = [
    '../_base_/methods/corda_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
]
model = dict(decode_head=dict(num_classes=11, predicted_depth='source'))
