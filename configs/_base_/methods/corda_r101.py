# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD), as released.
_base_ = [
    '../models/corda_r101.py',
    '../schedules/self_training_250k.py',
    '../default_runtime.py',
]
