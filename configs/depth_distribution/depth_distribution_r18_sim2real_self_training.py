# Licensed under the Apache License 2.0, see LICENSE.
# Self-training of depth distribution on stored pseudo-labels of the street world.
_base_ = [
    '../_base_/models/depth_distribution_self_training_r18.py',
    '../_base_/datasets/uda_street_world_synthia_128x256.py',
    '../_base_/schedules/street_world.py',
    '../_base_/default_runtime.py',
]
target_dataset = dict(
    _base_.train_dataloader.dataset.target,
    data_prefix=dict(
        seg_map_path=None,
        pseudo_label_path=_base_.pseudo_labels_root + '/depth_distribution_r18_sim2real',
    ),
)
train_dataloader = dict(dataset=dict(_delete_=True, type='DomainsDataset', target=target_dataset))
load_from = 'work_dirs/depth_distribution_r18_sim2real/iter_1000.pth'
default_hooks = dict(
    checkpoint=dict(interval=500),
    strict_load=dict(allow_unexpected=['^discriminators']),
)
