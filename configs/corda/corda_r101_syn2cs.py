# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD), SYNTHIA to Cityscapes with stereo depth, as released.
_base_ = [
    '../_base_/methods/corda_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_512x512.py',
]
model = dict(decode_head=dict(initial_seg='conv'))
