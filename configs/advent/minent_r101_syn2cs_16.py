# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt: the entropy of target predictions is minimized directly, without a discriminator.
_base_ = [
    '../_base_/models/deeplabv2_r101_imagenet.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_760x1280.py',
    '../_base_/schedules/deeplab_90k.py',
    '../_base_/snapshots_runtime.py',
]
model = dict(
    type='MinEntSegmentor',
    entropy_weight=0.001,
    decode_head=dict(num_classes=16),
)
