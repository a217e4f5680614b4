# Licensed under the Apache License 2.0, see LICENSE.
# Segmentation of labeled images, depth from the neighboring frames of all images.
_base_ = [
    '../models/sde_pad_r18.py',
    '../street_world_runtime.py',
    '../semi_supervised_hooks.py',
]
model = dict(
    type='MultiTaskUDASegmentor',
    unlabelled=['target'],
    decode_head=dict(
        loss_weights=dict(
            labelled=dict(seg=0.5, side_seg=0.5, disparity=1.0),
            target=dict(disparity=1.0),
            mixed=dict(seg=1.0),
        ),
    ),
    pose_net=dict(
        type='PoseNet',
        backbone=dict(type='ResNet', depth=18, base_channels=32, stem_channels=32),
        in_channels=256,
    ),
)
# The network's own depth: of each crop, scaled to 0..1.
depthmix_online = dict(_base_.depthmix_within, depth='online_disparity', normalize=True)
# What a transfer starts from; with backbone.init_cfg=None.
depth_network = dict(
    checkpoint='work_dirs/monodepth2_r18_street_world/iter_1200.pth',
    modules={
        'backbone': 'backbone',
        'decode_head.seg_decoder': 'decode_head',
        'decode_head.depth_decoder': 'decode_head',
        'pose_net': 'pose_net',
    },
)
