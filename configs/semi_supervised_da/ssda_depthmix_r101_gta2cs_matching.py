# Licensed under the Apache License 2.0, see LICENSE.
# The same with matching geometry: of five source images, the one whose depth is most like the
# target's.
_base_ = './ssda_depthmix_r101_gta2cs.py'
train_dataloader = dict(
    dataset=dict(source=dict(match=dict(to='target', ignore_top=80, ignore_bottom=100))),
)
