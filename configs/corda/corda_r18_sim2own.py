# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to your own images, which have no depth: see docs/own_images.md.
_base_ = [
    '../_base_/models/corda_r18.py',
    '../_base_/datasets/uda_street_world_to_own.py',
    '../_base_/schedules/street_world.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(predicted_depth='source'))  # nothing trains the target's decoder
custom_hooks = [
    dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=500),
]
default_hooks = dict(checkpoint=dict(interval=500))
val_cfg = val_dataloader = val_evaluator = None  # no labels
