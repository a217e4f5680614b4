# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt with a second classifier, and a second discriminator, on stage 3.
_base_ = './advent_r101_syn2cs_16.py'
model = dict(
    auxiliary_head=dict(
        type='DeepLabV2Head',
        in_channels=1024,
        in_index=2,
        num_classes=16,
        num_summed=4,
        loss_decode=dict(
            type='CrossEntropyLoss', loss_name='loss_seg', loss_weight=0.1, avg_non_ignore=True
        ),
    ),
    alignments=dict(
        auxiliary=dict(
            space='self_information',
            head='auxiliary_head',
            adversarial_weight=0.0002,
            discriminator_weight=0.5,
            discriminator=dict(type='FCNDiscriminator'),
        ),
    ),
)
