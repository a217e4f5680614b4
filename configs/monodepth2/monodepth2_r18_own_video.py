# Licensed under the Apache License 2.0, see LICENSE.
# Self-supervised depth on your own video, for two CPU cores: see docs/own_depth.md.
_base_ = [
    '../_base_/models/monodepth2_r18.py',
    '../_base_/datasets/sequence_own_128x256.py',
    '../_base_/schedules/street_world_monodepth2.py',
    '../_base_/monodepth2_runtime.py',
]
default_hooks = dict(checkpoint=dict(interval=300))
val_cfg = test_cfg = None  # no true depth
