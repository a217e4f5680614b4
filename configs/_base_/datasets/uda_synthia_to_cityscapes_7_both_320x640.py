# Licensed under the Apache License 2.0, see LICENSE.
# The same at 640x320. Predictions are compared with labels at full size, too.
_base_ = './uda_synthia_to_cityscapes_7_both_760x1280.py'

scale = (640, 320)
source_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.source_pipeline]
target_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.target_pipeline]
test_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.test_pipeline]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]
train_dataloader = dict(
    dataset=dict(source=dict(pipeline=source_pipeline), target=dict(pipeline=target_pipeline)),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
