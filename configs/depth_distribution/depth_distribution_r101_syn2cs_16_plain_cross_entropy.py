# Licensed under the Apache License 2.0, see LICENSE.
# Classes count by their pixels, as the paper has it.
_base_ = './depth_distribution_r101_syn2cs_16.py'
model = dict(decode_head=dict(loss_decode=dict(class_weight=None)))
