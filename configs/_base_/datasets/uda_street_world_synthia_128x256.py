# Licensed under the Apache License 2.0, see LICENSE.
# The street world with its source in SYNTHIA's layout: the same images and labels as in GTA5's, and
# exact depth, in DADA's encoding. The target has no depth.
_base_ = './uda_street_world_128x256.py'

source_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth', encoding='dada'),
    dict(type='ResizeWithDepth', scale=_base_.scale, depth_interpolation='nearest'),
    dict(type='PackSegInputs'),
]
source_dataset = dict(
    _delete_=True,
    type='SYNTHIADepthDataset',
    data_root=_base_.street_world_root + '/synthia',
    data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS'),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset, target=dict(depth=None)))
