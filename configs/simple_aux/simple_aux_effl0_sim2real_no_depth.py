# Licensed under the Apache License 2.0, see LICENSE.
# The control of SimpleAux: the same network, data and draws, and no loss on depth.
_base_ = './simple_aux_effl0_sim2real.py'
model = dict(decode_head=dict(learn_depth=False))
