# Licensed under the Apache License 2.0, see LICENSE.
# An ablation: depth is learned beside the classes, and nothing looks at density.
_base_ = './depth_distribution_r101_syn2cs_16_no_balance_loss.py'
model = dict(alignments=dict(main=dict(space='self_information')))
