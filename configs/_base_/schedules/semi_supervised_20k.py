# Licensed under the Apache License 2.0, see LICENSE.
# The published schedule for CamVid.
_base_ = './semi_supervised_40k.py'
train_cfg = dict(max_iters=20000)
