# Licensed under the Apache License 2.0, see LICENSE.
# The same from encoder and decoder of the depth network.
_base_ = './supervised_r101_cs.py'
model = dict(backbone=dict(init_cfg=None), transfer=_base_.depth_network)
