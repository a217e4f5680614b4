# Licensed under the Apache License 2.0, see LICENSE.
# Trained on GTA5 alone, in CorDA's setting, tested on Cityscapes.
_base_ = [
    '../_base_/models/deeplabv2_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
    '../_base_/schedules/corda_250k.py',
    '../_base_/default_runtime.py',
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        _delete_=True,
        type='GTA5DepthDataset',
        data_root=_base_.gta_root,
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=_base_.source_pipeline,
    ),
)
