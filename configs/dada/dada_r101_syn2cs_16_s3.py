# Licensed under the Apache License 2.0, see LICENSE.
# "S3" of DADA's Table 3: depth is learned and fed back, and adaptation does not look at it.
_base_ = './dada_r101_syn2cs_16.py'
model = dict(alignments=dict(main=dict(space='self_information')))
