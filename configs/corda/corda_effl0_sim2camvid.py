# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to real CamVid frames, which have no depth: the depth losses of mixed
# images and the difficulty weight drop out, so that this is CorDA (F), with depth of the source.
_base_ = [
    '../_base_/models/corda_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=11, predicted_depth='source'))
# A short training needs a faster teacher than the published 0.999.
custom_hooks = [
    dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=100),
]
default_hooks = dict(checkpoint=dict(interval=100))
