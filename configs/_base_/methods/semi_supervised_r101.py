# Licensed under the Apache License 2.0, see LICENSE.
# Labeled images, and images to mix, which no loss sees as they are.
_base_ = [
    '../models/sde_unet_r101.py',
    '../default_runtime.py',
    '../semi_supervised_hooks.py',
]
model = dict(
    type='UDASegmentor',
    unlabelled=['target'],
    decode_head=dict(loss_weights=dict(labelled=dict(seg=1.0), mixed=dict(seg=1.0))),
)
# What a transfer starts from; with backbone.init_cfg=None.
depth_network = dict(
    checkpoint='work_dirs/monodepth2_r101_cs_unfrozen/iter_50000.pth',
    modules={'backbone': 'backbone', 'decode_head.decoder': 'decode_head'},
)
