# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) on the street world with monocular instead of stereo target depth, as
# tools/depth/predict_depth.py writes it into `cityscapes/disparity/train`.
_base_ = './corda_r18_sim2real.py'
train_dataloader = dict(dataset=dict(target=dict(depth='mono')))
