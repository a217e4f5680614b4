# Licensed under the Apache License 2.0, see LICENSE.
# Labeled images, and images to mix, which no loss sees as they are.
_base_ = [
    '../models/sde_unet_effl0.py',
    '../pretrained_runtime.py',
    '../semi_supervised_hooks.py',
]
model = dict(
    type='UDASegmentor',
    unlabelled=['target'],
    decode_head=dict(loss_weights=dict(labelled=dict(seg=1.0), mixed=dict(seg=1.0))),
)
