# Licensed under the Apache License 2.0, see LICENSE.
# The same with the source in SYNTHIA's layout: exact depth, in DADA's encoding.
_base_ = './uda_street_world_to_camvid_288x384.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='dada'),
    dict(type='ResizeWithDepth', scale=_base_.scale, depth_interpolation='nearest'),
    _base_.crop,
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    _delete_=True,
    type='SYNTHIADepthDataset',
    protocol='camvid11',
    data_root=_base_.street_world_root + '/synthia',
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
