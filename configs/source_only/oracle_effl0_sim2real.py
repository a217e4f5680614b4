# Licensed under the Apache License 2.0, see LICENSE.
# What the pretrained network learns when it may see the labels of the `real` training images.
_base_ = './source_only_effl0_sim2real.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CityscapesDepthDataset',
        data_root=_base_.street_world_root + '/cityscapes',
        split='train',
        pipeline=_base_.train_pipeline,
    ),
)
