# Licensed under the Apache License 2.0, see LICENSE.
# Your own images, images/ below the root; their depth comes from the network of the selection.
_base_ = './selection_street_world_128x256.py'

train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='FolderDepthDataset',
        data_root=_base_.own_target_root,
        data_prefix=dict(img_path='images'),
        pipeline=_base_.train_pipeline,
    ),
)
