# Licensed under the Apache License 2.0, see LICENSE.
# The same with SYNTHIA as the source.
_base_ = './ssda_gta_to_cityscapes_512x512.py'

source_pipeline = [
    dict(type='LoadLabels') if step['type'] == 'LoadLabels' else step
    for step in _base_.source_pipeline
]
source_dataset = dict(
    _delete_=True,
    type='SYNTHIADepthDataset',
    data_root=_base_.synthia_root,
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS', depth_map_path=None),
    indices=8900,
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
with_depth = dict(source=dict(data_prefix=dict(depth_map_path='Depth')))
