# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux in the small setting.
_base_ = [
    '../models/simple_aux_r18.py',
    '../schedules/street_world_self_training.py',
    '../street_world_runtime.py',
]
