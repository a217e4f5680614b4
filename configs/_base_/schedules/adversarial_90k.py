# Licensed under the Apache License 2.0, see LICENSE.
# The same for adversarial training: the discriminators' learning rate decays in the same way.
_base_ = './deeplab_90k.py'
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='PartsOptimWrapperConstructor',
    segmentor=dict(
        optimizer=dict(type='RepeatedSGD', lr=2.5e-4, momentum=0.9, weight_decay=5e-4),
        constructor='DeepLabOptimWrapperConstructor',
        paramwise_cfg=dict(head_lr_mult=10.0, repeat_backbone=True),
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99))),
)
