# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning with both DepthMixes and matching geometry: GTA5 and Cityscapes.
_base_ = [
    '../_base_/methods/ssda_pad_r101.py',
    '../_base_/datasets/ssda_gta_to_cityscapes_512x512_frames.py',
    '../_base_/schedules/semi_supervised_40k_multi_task.py',
]
train_dataloader = dict(
    dataset=dict(
        source=dict(
            _base_.with_depth.source,
            match=dict(to='target', ignore_top=80, ignore_bottom=100),
        ),
        target=_base_.with_depth.target,
    ),
)
model = dict(
    decode_head=dict(loss_weights=dict(mixed=dict(seg=1.0), within=dict(seg=1.0))),
    backbone=dict(init_cfg=None),
    pose_net=dict(backbone=dict(init_cfg=None)),
    transfer=_base_.depth_network,
)
custom_hooks = [
    dict(
        _base_.self_training,
        **_base_.true_labels,
        branches=dict(mixed=_base_.depthmix_across, within=_base_.depthmix_within),
    ),
    dict(type='UDAVisualizationHook', interval=5000),
]
