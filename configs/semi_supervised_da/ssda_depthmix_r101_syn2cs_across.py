# Licensed under the Apache License 2.0, see LICENSE.
# DepthMix from the source onto the target: SYNTHIA and Cityscapes.
_base_ = [
    '../_base_/methods/ssda_r101.py',
    '../_base_/datasets/ssda_synthia_to_cityscapes_512x512.py',
    '../_base_/schedules/semi_supervised_40k.py',
]
train_dataloader = dict(dataset=_base_.with_depth)
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.depthmix_across)),
    dict(type='UDAVisualizationHook', interval=5000),
]
