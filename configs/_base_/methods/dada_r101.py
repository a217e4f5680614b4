# Licensed under the Apache License 2.0, see LICENSE.
# DADA.
_base_ = [
    '../models/dada_r101.py',
    '../schedules/adversarial_90k.py',
    '../snapshots_runtime.py',
]
