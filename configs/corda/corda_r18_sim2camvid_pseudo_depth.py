# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to CamVid with target depth that a network of the street world has
# predicted: see tools/depth/predict_depth.py.
_base_ = [
    '../_base_/models/corda_r18.py',
    '../_base_/datasets/uda_street_world_to_camvid_pseudo_depth.py',
    '../_base_/schedules/street_world.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=11))
custom_hooks = [
    dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=500),
]
default_hooks = dict(checkpoint=dict(interval=500))
