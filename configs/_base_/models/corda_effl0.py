# Licensed under the Apache License 2.0, see LICENSE.
# CorDA's head on the small pretrained network.
_base_ = './deeplabv2_effl0.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CorDAHead',
        in_channels=112,
        in_index=0,
        channels=128,
        num_classes=19,
        loss_weights=dict(
            source=dict(seg=1.0, depth=0.01),
            mixed=dict(seg=1.0, depth=0.001),
        ),
        num_summed=2,
        initial_seg='aspp',
    ),
)
