# Licensed under the Apache License 2.0, see LICENSE.
# The small setting with self-training.
_base_ = './street_world.py'
# A short training needs a faster teacher than the published 0.999.
custom_hooks = [
    dict(type='DACSHook', alpha=0.99),
    dict(type='UDAVisualizationHook', interval=500),
]
