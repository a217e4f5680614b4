# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) whose mixed images are those of DepthMix: what is in front in the source covers the
# target.
_base_ = './corda_effl0_sim2real.py'
custom_hooks = [
    dict(
        type='SelfTrainingHook',
        branches=dict(mixed=dict(type='DepthMix')),
        pseudo_labels=dict(type='ConfidentShare', initial=0.1),
        teacher=dict(type='TeacherEMA', alpha=0.99),
    ),
    dict(type='UDAVisualizationHook', interval=100),
]
