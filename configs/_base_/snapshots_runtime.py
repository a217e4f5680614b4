# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt and DADA evaluate a snapshot every 2000 iterations and publish the best one on the
# validation data: it is kept beside the last.
_base_ = './default_runtime.py'
randomness = dict(seed=1234)
default_hooks = dict(checkpoint=dict(interval=2000, save_best='mIoU', rule='greater'))
