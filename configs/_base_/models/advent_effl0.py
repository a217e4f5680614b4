# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt on the small pretrained network, with the classifier that the other small experiments have.
# A short training needs a larger adversarial weight than the published 0.001 (see advent_r18.py).
_base_ = './deeplabv2_effl0.py'
model = dict(
    type='AdversarialSegmentor',
    alignments=dict(
        main=dict(
            space='self_information',
            adversarial_weight=0.01,
            discriminator_weight=0.5,
            discriminator=dict(type='FCNDiscriminator'),
        ),
    ),
)
