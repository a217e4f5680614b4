# Licensed under the Apache License 2.0, see LICENSE.
# The small network, trained on the source alone.
_base_ = [
    '../models/deeplabv2_r18.py',
    '../schedules/street_world.py',
    '../street_world_runtime.py',
]
