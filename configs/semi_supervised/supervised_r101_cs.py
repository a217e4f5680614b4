# Licensed under the Apache License 2.0, see LICENSE.
# Labeled images alone: Cityscapes.
_base_ = [
    '../_base_/methods/semi_supervised_r101.py',
    '../_base_/datasets/semi_cityscapes_512x512.py',
    '../_base_/schedules/semi_supervised_40k.py',
]
train_dataloader = dict(
    dataset=dict(_delete_=True, type='DomainsDataset', labelled=_base_.labelled_dataset),
)
model = dict(
    decode_head=dict(loss_weights=dict(_delete_=True, labelled=dict(seg=1.0))),
)
