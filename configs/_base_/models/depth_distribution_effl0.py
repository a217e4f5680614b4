# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution on the small pretrained network. On its features, 32x16, densities are 30 times
# those of the published 161x96.
_base_ = './advent_effl0.py'
model = dict(
    decode_head=dict(
        _delete_=True,
        type='DepthDistributionHead',
        in_channels=112,
        in_index=0,
        num_classes=19,
        num_summed=2,
        density_scale=3.3e4,
        loss_weights=dict(
            source=dict(seg=1.0, depth=0.01, density=0.01), target=dict(density=0.05)
        ),
    ),
    alignments=dict(
        main=dict(space='density_aware', adversarial_weight=0.05, discriminator_weight=1.0)
    ),
)
