# Licensed under the Apache License 2.0, see LICENSE.
# ClassMix from the source onto the target: GTA5 and Cityscapes.
_base_ = [
    '../_base_/methods/ssda_r101.py',
    '../_base_/datasets/ssda_gta_to_cityscapes_512x512.py',
    '../_base_/schedules/semi_supervised_40k.py',
]
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.classmix_across)),
    dict(type='UDAVisualizationHook', interval=5000),
]
