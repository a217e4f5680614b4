# Licensed under the Apache License 2.0, see LICENSE.
# The same for adversarial training: every part of the model in a distributed wrapper of its own.
_base_ = './snapshots_runtime.py'
model_wrapper_cfg = dict(
    _delete_=True,
    type='mmseg.UDASeparateDistributedDataParallel',
    find_unused_parameters=True,  # the target need not pass through every part of a head
    broadcast_buffers=False,
)
