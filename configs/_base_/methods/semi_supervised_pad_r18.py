# Licensed under the Apache License 2.0, see LICENSE.
# Segmentation of labeled images, depth from the neighboring frames of all images.
_base_ = [
    '../models/sde_pad_r18.py',
    '../street_world_runtime.py',
    '../semi_supervised_multi_task.py',
]
model = dict(
    type='MultiTaskUDASegmentor',
    unlabelled=['target'],
    decode_head=dict(loss_weights=_base_.loss_weights),
    pose_net=dict(
        type='PoseNet',
        backbone=dict(type='ResNet', depth=18, base_channels=32, stem_channels=32),
        in_channels=256,
    ),
)
depth_network = dict(
    checkpoint='work_dirs/monodepth2_r18_street_world/iter_1200.pth', modules=_base_.depth_modules
)
