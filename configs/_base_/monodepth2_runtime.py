# Licensed under the Apache License 2.0, see LICENSE.
# One model with one loss: MMEngine's own wrapper does.
_base_ = './default_runtime.py'
model_wrapper_cfg = dict(_delete_=True, type='MMDistributedDataParallel', broadcast_buffers=False)
tta_model = None
# 1 / depth of an unknown unit beside the truth.
visualizer = dict(depth_scale='median')
