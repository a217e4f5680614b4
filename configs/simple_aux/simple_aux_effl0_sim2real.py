# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux on the street world from a pretrained network: DACS with depth as an auxiliary task.
_base_ = [
    '../_base_/models/simple_aux_effl0.py',
    '../_base_/datasets/uda_street_world_128x256.py',
    '../_base_/schedules/street_world_pretrained.py',
    '../_base_/default_runtime.py',
]
# A short training needs a faster teacher than the published 0.999.
custom_hooks = [
    dict(type='DACSHook', alpha=0.99),
    dict(type='UDAVisualizationHook', interval=100),
]
default_hooks = dict(checkpoint=dict(interval=100))
