# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level: a discriminator on the self-information of predictions.
_base_ = './deeplabv2_r101_imagenet.py'
model = dict(
    type='AdversarialSegmentor',
    alignments=dict(
        main=dict(
            space='self_information',
            adversarial_weight=0.001,
            discriminator_weight=0.5,
            discriminator=dict(type='FCNDiscriminator'),
        ),
    ),
)
