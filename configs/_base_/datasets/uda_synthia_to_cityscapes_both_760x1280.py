# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes over 16 classes as depth distribution trains: Cityscapes is resized to the
# size of the source, so that both have one feature grid. Predictions are compared with labels at
# full size.
_base_ = './uda_synthia_to_cityscapes_760x1280.py'

scale = (1280, 760)
target_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.target_pipeline]
test_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.test_pipeline]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]
train_dataloader = dict(
    dataset=dict(
        source=dict(data_prefix=dict(depth_map_path='Depth')),
        target=dict(pipeline=target_pipeline),
    ),
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
