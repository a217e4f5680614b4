# Licensed under the Apache License 2.0, see LICENSE.
# DACS, in CorDA's setting.
_base_ = [
    '../models/deeplabv2_r101.py',
    '../schedules/self_training_250k.py',
    '../default_runtime.py',
]
