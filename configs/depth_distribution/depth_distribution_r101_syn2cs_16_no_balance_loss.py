# Licensed under the Apache License 2.0, see LICENSE.
# An ablation: no loss compares the density branch with the mixtures ("branch balance loss"); what
# it learns comes from the discriminator.
_base_ = './depth_distribution_r101_syn2cs_16.py'
model = dict(
    decode_head=dict(
        mixtures=None,
        loss_weights=dict(_delete_=True, source=dict(seg=1.0, depth=0.005)),
    ),
)
