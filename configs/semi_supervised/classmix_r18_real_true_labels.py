# Licensed under the Apache License 2.0, see LICENSE.
# ClassMix of all images, of which those with labels keep them: the street world's `real` images.
_base_ = [
    '../_base_/methods/semi_supervised_r18.py',
    '../_base_/datasets/semi_street_world_128x256_true_labels.py',
    '../_base_/schedules/street_world.py',
]
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.classmix_within)),
    dict(type='UDAVisualizationHook', interval=500),
]
