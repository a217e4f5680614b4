# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (F), monocular depth: distillation, but no difficulty weight.
_base_ = './corda_r101_gta2cs_mono.py'
model = dict(decode_head=dict(difficulty=None))
