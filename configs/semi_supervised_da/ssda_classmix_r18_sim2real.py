# Licensed under the Apache License 2.0, see LICENSE.
# ClassMix from the source onto the target: the street world.
_base_ = [
    '../_base_/methods/ssda_r18.py',
    '../_base_/datasets/ssda_street_world_128x256.py',
    '../_base_/schedules/street_world.py',
]
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.classmix_across)),
    dict(type='UDAVisualizationHook', interval=500),
]
