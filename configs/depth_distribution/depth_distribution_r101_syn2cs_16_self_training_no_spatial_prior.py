# Licensed under the Apache License 2.0, see LICENSE.
# An ablation: every confident pseudo-label is kept, in however small a region.
_base_ = './depth_distribution_r101_syn2cs_16_self_training.py'
pseudo_labels = _base_.pseudo_labels_root + '/depth_distribution_r101_syn2cs_16_no_spatial_prior'
train_dataloader = dict(
    dataset=dict(target=dict(data_prefix=dict(pseudo_label_path=pseudo_labels))),
)
