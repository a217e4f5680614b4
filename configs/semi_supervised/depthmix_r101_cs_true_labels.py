# Licensed under the Apache License 2.0, see LICENSE.
# DepthMix of all images, by stored depth; those with labels keep them: Cityscapes.
_base_ = [
    '../_base_/methods/semi_supervised_r101.py',
    '../_base_/datasets/semi_cityscapes_512x512_true_labels.py',
    '../_base_/schedules/semi_supervised_40k.py',
]
train_dataloader = dict(dataset=_base_.with_depth)
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.depthmix_within)),
    dict(type='UDAVisualizationHook', interval=5000),
]
