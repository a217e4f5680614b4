# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) in the small setting.
_base_ = [
    '../models/corda_r18.py',
    '../schedules/street_world_self_training.py',
    '../street_world_runtime.py',
]
custom_hooks = [
    # Pseudo-labels of the first 10 % are the initial segmentation, which learns faster.
    dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=500),
]
