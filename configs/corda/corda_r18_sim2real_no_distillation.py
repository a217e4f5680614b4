# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F) on the street world without what its distillation adds: the trunks are kept.
_base_ = './corda_r18_sim2real_f.py'
model = dict(decode_head=dict(distillation=False))
