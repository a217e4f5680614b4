# Licensed under the Apache License 2.0, see LICENSE.
# "S4" of DADA's Table 3: adaptation of depth alone, which is not fed back either.
_base_ = './dada_r101_syn2cs_16.py'
model = dict(
    decode_head=dict(feature_fusion=False),
    alignments=dict(main=dict(space='depth')),
)
