# Licensed under the Apache License 2.0, see LICENSE.
# The control of depth distribution: the same network, data and draws, and no loss on depth or
# density. The discriminator looks at the self-information alone, as AdvEnt's.
_base_ = './depth_distribution_effl0_sim2camvid.py'
model = dict(
    decode_head=dict(learn_depth=False),
    alignments=dict(main=dict(space='self_information')),
)
