# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt, single level.
_base_ = [
    '../models/advent_r101.py',
    '../schedules/adversarial_90k.py',
    '../snapshots_runtime.py',
]
