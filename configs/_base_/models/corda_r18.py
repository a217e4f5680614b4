# Licensed under the Apache License 2.0, see LICENSE.
# CorDA's head on the small network.
_base_ = './deeplabv2_r18.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CorDAHead',
        in_channels=256,
        in_index=3,
        channels=128,
        num_classes=19,
        num_summed=2,
        initial_seg='aspp',
    ),
)
