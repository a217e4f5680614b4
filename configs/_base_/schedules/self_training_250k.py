# Licensed under the Apache License 2.0, see LICENSE.
# The same with DACS's self-training as published.
_base_ = './corda_250k.py'
custom_hooks = [
    dict(type='DACSHook'),
    dict(type='UDAVisualizationHook', interval=5000),
]
