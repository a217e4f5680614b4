# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning on labeled images, nothing mixed: the street world.
_base_ = [
    '../_base_/methods/ssda_pad_r18.py',
    '../_base_/datasets/ssda_street_world_128x256_frames.py',
    '../_base_/schedules/street_world.py',
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='DomainsDataset',
        labelled=_base_.train_dataloader.dataset.labelled,
        source=_base_.source_dataset,
    ),
)
model = dict(
    backbone=dict(init_cfg=None),
    transfer=_base_.depth_network,
)
