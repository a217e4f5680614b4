# Licensed under the Apache License 2.0, see LICENSE.
# The same network, trained with the labels of Cityscapes' training images: the upper bound for both
# sources.
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
