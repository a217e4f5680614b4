# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level: DeepLab-v2 with all branches of its classifier, from ImageNet weights, and a
# discriminator on the self-information of its predictions.
_base_ = './deeplabv2_r101.py'
model = dict(
    type='AdversarialSegmentor',
    backbone=dict(init_cfg=dict(checkpoint=_base_.imagenet_init)),
    decode_head=dict(num_summed=4),
    alignments=dict(
        main=dict(
            space='self_information',
            adversarial_weight=0.001,
            discriminator_weight=0.5,
            discriminator=dict(type='FCNDiscriminator'),
        ),
    ),
)
