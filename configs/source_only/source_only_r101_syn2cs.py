# Licensed under the Apache License 2.0, see LICENSE.
# Trained on SYNTHIA alone, in CorDA's setting, tested on Cityscapes.
_base_ = [
    '../_base_/methods/source_only_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_512x512.py',
]
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler'),
    dataset=dict(
        _base_.source_dataset,
        _delete_=True,
        data_prefix=dict(img_path='RGB', seg_map_path='GT/LABELS'),
    ),
)
