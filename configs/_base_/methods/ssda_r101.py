# Licensed under the Apache License 2.0, see LICENSE.
# Labeled source, labeled target, and target images to mix.
_base_ = './semi_supervised_r101.py'
model = dict(decode_head=dict(loss_weights=dict(source=dict(seg=1.0))))
