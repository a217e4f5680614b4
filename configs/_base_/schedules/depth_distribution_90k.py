# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule of depth distribution: one learning rate for the whole segmentor, and poly
# decay over 90 000 iterations, however long the run is. The paper stops after 54 000:
# --cfg-options train_cfg.max_iters=54000.
_base_ = './deeplab_90k.py'
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='PartsOptimWrapperConstructor',
    segmentor=dict(optimizer=dict(type='SGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4)),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99))),
)
param_scheduler = [dict(type='WarmupPolyLR', power=0.9, end=90000, by_epoch=False)]
train_cfg = dict(val_interval=1000)
