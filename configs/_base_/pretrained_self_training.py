# Licensed under the Apache License 2.0, see LICENSE.
# Self-training of the small pretrained network.
_base_ = './pretrained_runtime.py'
# A short training needs a faster teacher than the published 0.999.
custom_hooks = [
    dict(type='DACSHook', alpha=0.99),
    dict(type='UDAVisualizationHook', interval=100),
]
