# Licensed under the Apache License 2.0, see LICENSE.
# Segmentation of labeled images, depth from the neighboring frames of all images.
_base_ = [
    '../models/sde_pad_r101.py',
    '../default_runtime.py',
    '../semi_supervised_multi_task.py',
]
model = dict(
    type='MultiTaskUDASegmentor',
    unlabelled=['target'],
    decode_head=dict(loss_weights=_base_.loss_weights),
    pose_net=dict(
        type='PoseNet',
        backbone=dict(
            type='ResNet',
            depth=18,
            init_cfg=dict(type='Pretrained', prefix='backbone.', checkpoint='mmcls://resnet18'),
        ),
    ),
)
# What a transfer starts from; with backbone.init_cfg=None.
depth_network = dict(
    checkpoint='work_dirs/monodepth2_r101_cs_unfrozen/iter_50000.pth',
    modules=_base_.depth_modules,
)
