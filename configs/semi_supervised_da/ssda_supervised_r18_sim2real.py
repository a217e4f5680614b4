# Licensed under the Apache License 2.0, see LICENSE.
# Labeled source and labeled target, nothing else: the street world.
_base_ = [
    '../_base_/methods/ssda_r18.py',
    '../_base_/datasets/ssda_street_world_128x256.py',
    '../_base_/schedules/street_world.py',
]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='DomainsDataset',
        labelled=_base_.labelled_dataset,
        source=_base_.source_dataset,
    ),
)
model = dict(
    decode_head=dict(
        loss_weights=dict(_delete_=True, labelled=dict(seg=1.0), source=dict(seg=1.0)),
    ),
)
