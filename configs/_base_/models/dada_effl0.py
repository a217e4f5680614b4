# Licensed under the Apache License 2.0, see LICENSE.
# DADA on the small pretrained network. With the published depth weight of 0.001 a short training
# learns no depth (see dada_r18.py).
_base_ = './advent_effl0.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='DADAHead',
        in_channels=112,
        in_index=0,
        num_classes=19,
        num_summed=2,
        loss_weights=dict(source=dict(seg=1.0, depth=0.01)),
    ),
    alignments=dict(main=dict(space='depth_aware', discriminator_weight=1.0)),
)
