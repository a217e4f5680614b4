# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD), GTA5 to Cityscapes with stereo depth, as released.
_base_ = ['../_base_/methods/corda_r101.py', '../_base_/datasets/uda_gta_to_cityscapes_512x512.py']
custom_hooks = [
    # Pseudo-labels of the first 10 % are the initial segmentation, which learns faster.
    dict(type='DACSHook', initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=5000),
]
