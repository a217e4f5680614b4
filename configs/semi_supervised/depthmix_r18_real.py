# Licensed under the Apache License 2.0, see LICENSE.
# DepthMix of unlabeled images, by stored depth: the street world's `real` images.
_base_ = [
    '../_base_/methods/semi_supervised_r18.py',
    '../_base_/datasets/semi_street_world_128x256.py',
    '../_base_/schedules/street_world.py',
]
train_dataloader = dict(dataset=_base_.with_depth)
custom_hooks = [
    dict(_base_.self_training, branches=dict(mixed=_base_.depthmix_within)),
    dict(type='UDAVisualizationHook', interval=500),
]
