# Licensed under the Apache License 2.0, see LICENSE.
# The same with depth from video: the pose network moves little.
_base_ = './semi_supervised_40k.py'
# MMEngine takes the longest key that a name contains, and 'pose_net.backbone' has both.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'pose_net.': dict(lr_mult=1e-4)}))
