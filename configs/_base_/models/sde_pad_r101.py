# Licensed under the Apache License 2.0, see LICENSE.
# Segmentation and disparity in exchange. The method sets `loss_weights` by branch and task.
_base_ = './sde_unet_r101.py'
model = dict(decode_head=dict(type='PADHead'))
