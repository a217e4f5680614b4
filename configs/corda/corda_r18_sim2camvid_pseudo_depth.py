# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to CamVid with target depth that a network of the street world has
# predicted: see tools/depth/predict_depth.py.
_base_ = [
    '../_base_/methods/corda_r18.py',
    '../_base_/datasets/uda_street_world_to_camvid_pseudo_depth.py',
]
model = dict(decode_head=dict(num_classes=11))
