# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) on the small pretrained network.
_base_ = ['../models/corda_effl0.py', '../pretrained_self_training.py']
custom_hooks = [
    # Pseudo-labels of the first 10 % are the initial segmentation, which learns faster.
    dict(type='DACSHook', alpha=0.99, initial_pseudo_labels=0.1),
    dict(type='UDAVisualizationHook', interval=100),
]
