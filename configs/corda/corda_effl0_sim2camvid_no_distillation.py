# Licensed under the Apache License 2.0, see LICENSE.
# CorDA to CamVid without its distillation: the trunks are kept.
_base_ = './corda_effl0_sim2camvid.py'
model = dict(decode_head=dict(distillation=False))
