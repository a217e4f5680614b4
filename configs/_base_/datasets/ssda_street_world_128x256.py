# Licensed under the Apache License 2.0, see LICENSE.
# The same beside the labeled `sim` images: semi-supervised domain adaptation.
_base_ = './semi_street_world_128x256_true_labels.py'

source_pipeline = [
    *_base_.source_pipeline[:-1],
    dict(type='NormalizeDepth'),
    _base_.flip,
    _base_.pack,
]
source_dataset = dict(
    type='GTA5DepthDataset',
    data_root=_base_.street_world_root + '/gta',
    data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path=None),
    pipeline=source_pipeline,
)
train_dataloader = dict(dataset=dict(source=source_dataset))
with_depth = dict(
    source=dict(data_prefix=dict(depth_map_path='disparity')),
    target=dict(depth='stereo'),
)
