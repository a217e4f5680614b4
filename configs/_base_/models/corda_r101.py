# Licensed under the Apache License 2.0, see LICENSE.
# CorDA's head on the backbone of DeepLab-v2, as released for GTA5.
_base_ = './deeplabv2_r101.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='CorDAHead',
        in_channels=2048,
        in_index=3,
        channels=256,
        num_classes=19,
        loss_weights=dict(
            source=dict(seg=1.0, depth=0.01),
            mixed=dict(seg=1.0, depth=0.001),
        ),
        num_summed=2,  # in each classifier, as released; 4 is DeepLab-v2's full sum
        initial_seg='aspp',
    ),
)
