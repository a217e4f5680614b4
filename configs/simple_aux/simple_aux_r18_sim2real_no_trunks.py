# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux as the released script has it: both classifiers straight on the backbone.
_base_ = './simple_aux_r18_sim2real.py'
model = dict(decode_head=dict(trunks=False))
