# Licensed under the Apache License 2.0, see LICENSE.
# Self-training of depth distribution on stored pseudo-labels, with the pretrained network.
_base_ = [
    '../_base_/methods/source_only_effl0.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
]
model = dict(
    unlabelled=[],
    decode_head=dict(
        _delete_=True,
        type='DepthDistributionHead',
        in_channels=112,
        in_index=0,
        num_classes=19,
        num_summed=2,
        loss_weights=dict(target=dict(seg=1.0)),
    ),
)
target_dataset = dict(
    _base_.train_dataloader.dataset.target,
    data_prefix=dict(
        seg_map_path=None,
        pseudo_label_path=_base_.pseudo_labels_root + '/depth_distribution_effl0_sim2real',
    ),
)
train_dataloader = dict(dataset=dict(_delete_=True, type='DomainsDataset', target=target_dataset))
load_from = 'work_dirs/depth_distribution_effl0_sim2real/iter_500.pth'
default_hooks = dict(strict_load=dict(allow_unexpected=['^discriminators']))
