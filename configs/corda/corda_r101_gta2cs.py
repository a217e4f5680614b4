# CorDA, GTA5 to Cityscapes, as released (56.6 mIoU in the paper, 57.7 for the released checkpoint).
_base_ = [
    '../_base_/models/corda_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
    '../_base_/schedules/corda_250k.py',
    '../_base_/default_runtime.py',
]
custom_hooks = [
    # Pseudo-labels of the first 10 % are the initial segmentation, which learns faster.
    dict(type='DACSHook', initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=5000),
]
