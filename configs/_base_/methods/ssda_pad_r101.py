# Licensed under the Apache License 2.0, see LICENSE.
# Labeled source, labeled target with depth from its video, and target images to mix by stored
# depth.
_base_ = './semi_supervised_pad_r101.py'
model = dict(
    decode_head=dict(
        loss_weights=dict(
            _delete_=True,
            labelled=dict(seg=0.5, side_seg=0.5, disparity=1.0),
            source=dict(seg=0.5, side_seg=0.5),
        ),
    ),
)
