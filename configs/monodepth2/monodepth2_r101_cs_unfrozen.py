# Licensed under the Apache License 2.0, see LICENSE.
# Second stage: the encoder learns too, and stays near its ImageNet features. Goes on from the last
# checkpoint of the first stage.
_base_ = './monodepth2_r101_cs.py'
model = dict(
    backbone=dict(frozen_stages=-1, norm_eval=False),
    feature_distance_weight=0.01,
)
load_from = 'work_dirs/monodepth2_r101_cs/iter_300000.pth'
default_hooks = dict(strict_load=dict(allow_missing=['^pretrained_encoder']))
optim_wrapper = dict(optimizer=dict(lr=1e-5))
param_scheduler = []
train_cfg = dict(max_iters=50000)
