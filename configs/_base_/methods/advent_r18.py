# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt in the small setting.
_base_ = [
    '../models/advent_r18.py',
    '../schedules/street_world_adversarial.py',
    '../street_world_runtime.py',
]
