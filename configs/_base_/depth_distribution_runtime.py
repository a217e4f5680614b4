# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution evaluates a snapshot every 1000 iterations and publishes the best.
_base_ = './snapshots_runtime.py'
default_hooks = dict(checkpoint=dict(interval=1000))
