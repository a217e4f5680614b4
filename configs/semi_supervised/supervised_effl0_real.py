# Licensed under the Apache License 2.0, see LICENSE.
# Labeled images alone: the street world's `real` images, from a pretrained network.
_base_ = [
    '../_base_/methods/semi_supervised_effl0.py',
    '../_base_/datasets/semi_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
train_dataloader = dict(
    dataset=dict(_delete_=True, type='DomainsDataset', labelled=_base_.labelled_dataset),
)
model = dict(
    decode_head=dict(loss_weights=dict(_delete_=True, labelled=dict(seg=1.0))),
)
