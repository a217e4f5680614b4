# Licensed under the Apache License 2.0, see LICENSE.
# "S6" of DADA's Table 3: self-information and depth are adapted by a discriminator each.
_base_ = './dada_r101_syn2cs_16.py'
model = dict(
    alignments=dict(
        main=dict(space='self_information'),
        depth=dict(
            space='depth',
            adversarial_weight=0.001,
            discriminator_weight=1.0,
            discriminator=dict(type='FCNDiscriminator'),
        ),
    ),
)
