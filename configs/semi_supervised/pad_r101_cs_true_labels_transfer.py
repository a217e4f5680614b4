# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning from the depth network, and DepthMix of all images by online depth; those with
# labels keep them: Cityscapes.
_base_ = [
    '../_base_/methods/semi_supervised_pad_r101.py',
    '../_base_/datasets/semi_cityscapes_512x512_frames.py',
    '../_base_/schedules/semi_supervised_40k_multi_task.py',
]
model = dict(
    backbone=dict(init_cfg=None),
    pose_net=dict(backbone=dict(init_cfg=None)),
    transfer=_base_.depth_network,
)
custom_hooks = [
    dict(_base_.self_training, **_base_.true_labels, branches=dict(mixed=_base_.depthmix_online)),
    dict(type='UDAVisualizationHook', interval=5000),
]
