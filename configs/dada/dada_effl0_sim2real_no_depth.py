# Licensed under the Apache License 2.0, see LICENSE.
# The control of DADA: the same network, data and draws, and no loss on depth. Its fusion stays, an
# encoding that nobody teaches; the discriminator looks at the self-information alone, as AdvEnt's.
_base_ = './dada_effl0_sim2real.py'
model = dict(
    decode_head=dict(learn_depth=False),
    alignments=dict(main=dict(space='self_information')),
)
