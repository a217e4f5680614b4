# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning with both DepthMixes and matching geometry: the street world.
_base_ = [
    '../_base_/methods/ssda_pad_r18.py',
    '../_base_/datasets/ssda_street_world_128x256_frames.py',
    '../_base_/schedules/street_world.py',
]
train_dataloader = dict(
    dataset=dict(
        source=dict(
            _base_.with_depth.source,
            match=dict(to='target', ignore_top=20, ignore_bottom=25),
        ),
        target=_base_.with_depth.target,
    ),
)
model = dict(
    decode_head=dict(loss_weights=dict(mixed=dict(seg=1.0), within=dict(seg=1.0))),
    backbone=dict(init_cfg=None),
    transfer=_base_.depth_network,
)
custom_hooks = [
    dict(
        _base_.self_training,
        **_base_.true_labels,
        branches=dict(mixed=_base_.depthmix_across, within=_base_.depthmix_within),
    ),
    dict(type='UDAVisualizationHook', interval=500),
]
