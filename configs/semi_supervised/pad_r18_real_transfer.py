# Licensed under the Apache License 2.0, see LICENSE.
# The same from encoder, decoder and pose network of the depth network. The ratios of the learning
# rates are the published ones: the encoder a tenth, the pose network hardly any.
_base_ = './pad_r18_real.py'
model = dict(backbone=dict(init_cfg=None), transfer=_base_.depth_network)
# 'pose_net.backbone' contains both keys; MMEngine takes the longer one.
optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1), 'pose_net.': dict(lr_mult=1e-4)})
)
