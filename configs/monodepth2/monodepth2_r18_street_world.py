# Licensed under the Apache License 2.0, see LICENSE.
# Self-supervised depth on the video of the street world, for two CPU cores.
_base_ = [
    '../_base_/models/monodepth2_r18.py',
    '../_base_/datasets/sequence_street_world_128x256.py',
    '../_base_/schedules/street_world_monodepth2.py',
    '../_base_/monodepth2_runtime.py',
]
default_hooks = dict(checkpoint=dict(interval=300))
