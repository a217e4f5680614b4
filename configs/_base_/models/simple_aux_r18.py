# Licensed under the Apache License 2.0, see LICENSE.
# Depth as a plain auxiliary task on the small network.
_base_ = './deeplabv2_r18.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='SimpleAuxHead',
        in_channels=256,
        in_index=3,
        channels=128,
        num_classes=19,
        loss_weights=dict(
            source=dict(seg=1.0, depth=0.01),
            mixed=dict(seg=1.0, depth=0.001),
        ),
        num_summed=2,
    ),
)
