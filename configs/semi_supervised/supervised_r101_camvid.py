# Licensed under the Apache License 2.0, see LICENSE.
# Labeled images alone: CamVid.
_base_ = [
    '../_base_/methods/semi_supervised_r101.py',
    '../_base_/datasets/semi_camvid_512x512.py',
    '../_base_/schedules/semi_supervised_20k.py',
]
train_dataloader = dict(
    dataset=dict(_delete_=True, type='DomainsDataset', labelled=_base_.labelled_dataset),
)
model = dict(
    decode_head=dict(num_classes=11, loss_weights=dict(_delete_=True, labelled=dict(seg=1.0))),
)
