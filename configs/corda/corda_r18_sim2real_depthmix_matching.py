# Licensed under the Apache License 2.0, see LICENSE.
# The same with matching geometry: of five source images, the one whose depth is most like the
# target's. The ignored rows have the share of the image that 80 and 100 of 512 have.
_base_ = './corda_r18_sim2real_depthmix.py'
train_dataloader = dict(
    dataset=dict(source=dict(match=dict(to='target', ignore_top=20, ignore_bottom=25)))
)
