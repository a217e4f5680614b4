# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning on the street world's `real` images, and DepthMix by online depth; a small
# network from scratch.
_base_ = [
    '../_base_/methods/semi_supervised_pad_r18.py',
    '../_base_/datasets/semi_street_world_128x256_frames.py',
    '../_base_/schedules/street_world.py',
]
custom_hooks = [
    dict(_base_.self_training, branches=dict(mixed=_base_.depthmix_online)),
    dict(type='UDAVisualizationHook', interval=500),
]
