# Licensed under the Apache License 2.0, see LICENSE.
# DACS in the small setting.
_base_ = [
    '../models/deeplabv2_r18.py',
    '../schedules/street_world_self_training.py',
    '../street_world_runtime.py',
]
