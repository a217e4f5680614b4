# Licensed under the Apache License 2.0, see LICENSE.
# The setting of the small pretrained network: checkpoints within its short runs.
_base_ = './default_runtime.py'
default_hooks = dict(checkpoint=dict(interval=100))
