# Licensed under the Apache License 2.0, see LICENSE.
# The network of depth distribution, trained on stored pseudo-labels of the target alone: neither
# depth nor density has a loss.
_base_ = './deeplabv2_r101.py'
model = dict(
    unlabelled=[],
    backbone=dict(init_cfg=dict(checkpoint=_base_.imagenet_init)),
    decode_head=dict(
        _delete_=True,
        type='DepthDistributionHead',
        in_channels=2048,
        in_index=3,
        num_classes=19,
        num_summed=4,
        loss_weights=dict(target=dict(seg=1.0)),
    ),
)
