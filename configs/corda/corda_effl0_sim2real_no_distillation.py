# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F) without what its distillation adds: the trunks are kept.
_base_ = './corda_effl0_sim2real_f.py'
model = dict(decode_head=dict(distillation=False))
