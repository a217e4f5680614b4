# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution: a depth and a density branch beside the classifier, and a discriminator on
# self-information times density.
_base_ = './advent_r101.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='DepthDistributionHead',
        in_channels=2048,
        in_index=3,
        num_classes=19,
        num_summed=4,
        loss_weights=dict(
            source=dict(seg=1.0, depth=0.005, density=0.01), target=dict(density=0.05)
        ),
    ),
    alignments=dict(
        main=dict(space='density_aware', adversarial_weight=0.05, discriminator_weight=1.0)
    ),
)
