# Licensed under the Apache License 2.0, see LICENSE.
# The same with whole images of one size in place of crops, for methods that know the places of one
# feature grid. Both domains are resized, as depth distribution does with SYNTHIA and Cityscapes.
_base_ = './uda_street_world_synthia_to_camvid_288x384.py'

scale = (384, 240)
source_pipeline = [
    dict(s, scale=scale) if 'scale' in s else s
    for s in _base_.source_pipeline
    if s['type'] != 'RandomCrop'
]
target_pipeline = [
    dict(s, scale=scale) if 'scale' in s else s
    for s in _base_.target_pipeline
    if s['type'] != 'RandomCrop'
]
test_pipeline = [dict(s, scale=scale) if 'scale' in s else s for s in _base_.test_pipeline]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

source_dataset = dict(pipeline=source_pipeline)
target_dataset = dict(pipeline=target_pipeline)
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
