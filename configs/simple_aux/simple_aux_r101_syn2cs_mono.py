# Licensed under the Apache License 2.0, see LICENSE.
# The same with monocular instead of stereo target depth.
_base_ = './simple_aux_r101_syn2cs.py'
train_dataloader = dict(dataset=dict(target=dict(depth='mono')))
