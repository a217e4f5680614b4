# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux: DACS with depth as a plain auxiliary task.
_base_ = [
    '../models/simple_aux_r101.py',
    '../schedules/self_training_250k.py',
    '../default_runtime.py',
]
