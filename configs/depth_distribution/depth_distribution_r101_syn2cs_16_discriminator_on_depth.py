# Licensed under the Apache License 2.0, see LICENSE.
# An ablation: the discriminator sees depth alone.
_base_ = './depth_distribution_r101_syn2cs_16.py'
model = dict(alignments=dict(main=dict(space='depth')))
