# Licensed under the Apache License 2.0, see LICENSE.
# What is added where depth is learned from the neighboring frames of all images.
_base_ = './semi_supervised_hooks.py'
loss_weights = dict(
    labelled=dict(seg=0.5, side_seg=0.5, disparity=1.0),
    target=dict(disparity=1.0),
    mixed=dict(seg=1.0),
)
# The network's own depth: of each crop, scaled to 0..1.
depthmix_online = dict(_base_.depthmix_within, depth='online_disparity', normalize=True)
# What a transfer takes from a depth network; with backbone.init_cfg=None.
depth_modules = {
    'backbone': 'backbone',
    'decode_head.seg_decoder': 'decode_head',
    'decode_head.depth_decoder': 'decode_head',
    'pose_net': 'pose_net',
}
