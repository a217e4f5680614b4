# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F) on the street world: distillation, but no difficulty weight.
_base_ = './corda_r18_sim2real.py'
model = dict(decode_head=dict(difficulty=None))
