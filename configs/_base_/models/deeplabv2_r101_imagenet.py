# Licensed under the Apache License 2.0, see LICENSE.
# DeepLab-v2 as AdvEnt and DADA have it: all branches of its classifier, from ImageNet weights.
_base_ = './deeplabv2_r101.py'
model = dict(
    backbone=dict(init_cfg=dict(checkpoint=_base_.imagenet_init)),
    decode_head=dict(num_summed=4),
)
