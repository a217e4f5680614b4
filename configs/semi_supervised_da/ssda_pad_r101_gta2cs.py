# Licensed under the Apache License 2.0, see LICENSE.
# Multi-task learning on labeled images, nothing mixed: GTA5 and Cityscapes.
_base_ = [
    '../_base_/methods/ssda_pad_r101.py',
    '../_base_/datasets/ssda_gta_to_cityscapes_512x512_frames.py',
    '../_base_/schedules/semi_supervised_40k_multi_task.py',
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
    pose_net=dict(backbone=dict(init_cfg=None)),
    transfer=_base_.depth_network,
)
