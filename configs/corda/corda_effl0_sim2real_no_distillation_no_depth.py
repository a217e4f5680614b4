# Licensed under the Apache License 2.0, see LICENSE.
# The control of CorDA without distillation: one trunk, two predictions, no depth.
_base_ = './corda_effl0_sim2real_no_distillation.py'
model = dict(decode_head=dict(learn_depth=False))
