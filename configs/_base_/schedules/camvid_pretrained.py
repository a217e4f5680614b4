# Licensed under the Apache License 2.0, see LICENSE.
# The same for CamVid, whose images are 2.8 times as large.
_base_ = './street_world_pretrained.py'
train_cfg = dict(max_iters=300, val_interval=300)
