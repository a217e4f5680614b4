# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F): distillation, but no difficulty weight.
_base_ = './corda_effl0_sim2real.py'
model = dict(decode_head=dict(difficulty=None))
