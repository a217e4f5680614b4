# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F), monocular depth, without what its distillation adds: the trunks are kept.
_base_ = './corda_r101_syn2cs_f_mono.py'
model = dict(decode_head=dict(distillation=False))
