# Licensed under the Apache License 2.0, see LICENSE.
# The same with both domains at 640x320, where predictions and labels are compared, too; padding is
# ignored.
_base_ = './uda_synthia_to_vistas_7_760x1280.py'

scale = (640, 320)
source_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.source_pipeline]
target_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.target_pipeline]
test_pipeline = [
    *target_pipeline[:-2],  # without pseudo-labels
    dict(type='MatchOriShapeToLabels'),
    _base_.pack_padding,
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

source_dataset = dict(pipeline=source_pipeline)
target_dataset = dict(pipeline=target_pipeline)
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
