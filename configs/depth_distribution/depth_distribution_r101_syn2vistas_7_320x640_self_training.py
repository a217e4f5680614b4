# Licensed under the Apache License 2.0, see LICENSE.
# Self-training of depth distribution on stored pseudo-labels: Vistas, 640x320.
_base_ = [
    '../_base_/models/depth_distribution_self_training_r101.py',
    '../_base_/datasets/uda_synthia_to_vistas_7_both_320x640.py',
    '../_base_/schedules/depth_distribution_self_training.py',
    '../_base_/self_training_runtime.py',
]
model = dict(decode_head=dict(num_classes=7))
target_dataset = dict(
    _base_.train_dataloader.dataset.target,
    data_prefix=dict(
        seg_map_path=None,
        pseudo_label_path=_base_.pseudo_labels_root
        + '/depth_distribution_r101_syn2vistas_7_320x640',
    ),
    indices=9000,  # of 18 000 training images
)
train_dataloader = dict(dataset=dict(_delete_=True, type='DomainsDataset', target=target_dataset))
load_from = 'work_dirs/depth_distribution_r101_syn2vistas_7_320x640/iter_90000.pth'
