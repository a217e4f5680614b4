# Licensed under the Apache License 2.0, see LICENSE.
# "S5" of DADA's Table 3: adaptation of depth alone, which is fed back.
_base_ = './dada_r101_syn2cs_16.py'
model = dict(alignments=dict(main=dict(space='depth')))
