# Licensed under the Apache License 2.0, see LICENSE.
# One model with one loss: MMEngine's own wrapper is enough.
_base_ = './default_runtime.py'
model_wrapper_cfg = dict(_delete_=True, type='MMDistributedDataParallel', broadcast_buffers=False)
tta_model = None
# The unit of the predicted depth is unknown: draw it at the median of the true depth.
visualizer = dict(depth_scale='median')
