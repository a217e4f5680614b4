# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to real CamVid frames, which have no depth: the depth losses of mixed
# images and the difficulty weight are left out. The source's decoder predicts depth.
_base_ = ['../_base_/methods/corda_r18.py', '../_base_/datasets/uda_street_world_to_camvid.py']
model = dict(decode_head=dict(num_classes=11, predicted_depth='source'))
