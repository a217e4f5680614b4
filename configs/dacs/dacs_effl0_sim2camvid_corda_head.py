# Licensed under the Apache License 2.0, see LICENSE.
# DACS with CorDA's head and without its depth: both trunks, distillation, a second prediction. What
# is left of CorDA's control when the initial pseudo-labels are left out.
_base_ = '../corda/corda_effl0_sim2camvid_no_depth.py'
custom_hooks = [
    dict(type='DACSHook', alpha=0.99),
    dict(type='UDAVisualizationHook', interval=100),
]
