# Licensed under the Apache License 2.0, see LICENSE.
# The network of DACS and CorDA, trained on the source alone.
_base_ = [
    '../models/deeplabv2_r101.py',
    '../schedules/corda_250k.py',
    '../default_runtime.py',
]
