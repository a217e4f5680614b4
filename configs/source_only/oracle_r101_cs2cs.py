# Licensed under the Apache License 2.0, see LICENSE.
# What the same network learns when it may see the labels of Cityscapes' training images: the upper
# bound of both sources.
_base_ = './source_only_r101_gta2cs.py'
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='CityscapesDepthDataset',
        data_root=_base_.cityscapes_root,
        split='train',
        pipeline=_base_.target_pipeline,
    ),
)
