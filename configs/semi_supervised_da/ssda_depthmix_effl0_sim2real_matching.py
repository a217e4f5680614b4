# Licensed under the Apache License 2.0, see LICENSE.
# The same with matching geometry: of five source images, the one whose depth is most like the
# target's.
_base_ = './ssda_depthmix_effl0_sim2real.py'
train_dataloader = dict(
    dataset=dict(source=dict(match=dict(to='target', ignore_top=20, ignore_bottom=25))),
)
