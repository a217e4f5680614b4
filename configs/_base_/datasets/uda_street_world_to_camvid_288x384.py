# Licensed under the Apache License 2.0, see LICENSE.
# As uda_street_world_to_camvid.py, half as large again: a pretrained network has use for it. Focal
# lengths are 0.84 * 480 and about 1.05 * 384 pixels.
_base_ = './uda_street_world_to_camvid.py'

crop_size = (240, 384)
scale = (480, 240)
target_scale = (384, 288)
crop = dict(type='RandomCrop', crop_size=crop_size)
source_pipeline = [
    *[dict(s, scale=scale) if 'scale' in s else s for s in _base_.source_pipeline[:-2]],
    crop,
    dict(type='PackSegInputs'),
]
target_pipeline = [
    *[dict(s, scale=target_scale) if 'scale' in s else s for s in _base_.target_pipeline[:-2]],
    crop,
    dict(type='PackSegInputs'),
]
test_pipeline = [dict(s, scale=target_scale) if 'scale' in s else s for s in _base_.test_pipeline]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

source_dataset = dict(pipeline=source_pipeline)
target_dataset = dict(pipeline=target_pipeline)
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
